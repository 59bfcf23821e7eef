"""The storage behind `Gallery`, explained on one page.

**The truth** is vectors and rows, never an index. An item is a row: a vector in a segment, and an
id, a label and metadata in the catalog. Rows are numbered in the order of insertion. A removed row
keeps its number until `compact`.

**The files** of a gallery's folder:

- `manifest.json` names the catalog that is valid. It is the one root.
- `catalog-….db` is a SQLite database in WAL mode: ids, labels, metadata, removed rows, settings,
  and the names, lengths and checksums of the segments. Consecutive integer ids without labels or
  metadata take one row, because SQLite needs seconds for a million.
- `vectors-….npy` are segments, memory-mapped and never changed once they are written. An `append`
  merges the last ones like a binary counter, so there are few.
- `embedder.keras` is the model.
- `writer.lock` is locked by the one writer, and freed when its process ends.

**Why a kill loses nothing.** A segment reaches the disk before the transaction that names it
commits. Files that no catalog names are left over from a killed process: readers ignore them, and
the next writer deletes them. `compact`, and saving over another gallery, write a new catalog beside
the old one. Replacing the manifest makes it valid at one moment. A new folder is written beside its
place and renamed.

**Why readers need no lock.** Segments do not change, and SQLite shows a reader the last committed
state. A storage shows the version that it read until `reload`.

**If another folder gets its name.** A release may be built beside the old one and renamed to its
place. A storage knows its catalog by the file itself, not by the name. So it never writes to the
other gallery, and `reload` shows that one.

**What is checked.** Opening compares each file with its size and CRC-32. File names must be plain
names of the known forms, the schema of the catalog must be ours, and `.npy` headers must fit the
catalog before memory is mapped. Nothing is unpickled or executed.

**Why not one file or a vector database.** One zip is read whole at opening and written whole at
each change. LanceDB saves, opens and adds faster, but searches many times slower. It is a wheel of
75 MB, and does not notice a flipped bit.
`benchmarks/README.md` has the figures.

**Where to read on.** `storage` is what a gallery uses: it changes, and `view` reads. `home` opens a
folder, `manifest` and `catalog` hold its state, `segments` the vectors. `items`, `lookups` and
`filters` are the SQL of items. `changes`, `compaction` and `copying` are the three ways to write,
and `files` makes them durable.
"""
