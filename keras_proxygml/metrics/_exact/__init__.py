"""The exact search behind `retrieval_metrics`, explained on one page.

**The task.** Each query is compared with each item of the gallery. Its R *matches* are the items
of its own class. The metrics need the ranks of the matches and nothing else. The rank of the j-th
match is j plus the number of items of other classes that are *ahead* of it, which means at least
as similar. So the search counts. It keeps no list of neighbors.

**Why products on a grid are exact.** `grid` scales each vector to unit length and rounds its
components to multiples of 2**-24. A product of two components is a multiple of 2**-48. The vectors
have unit length, so no sum of such products is much larger than 1, and each fits the 53 bits of a
float64. A float64 matrix product therefore never rounds, and a BLAS may add in any order. A
similarity times 2**48 is an integer, its *level*. Equal vectors tie, and no order of rows, block
size or thread count changes a digit.

**What the slack decides.** float32 products take half the time, and lie within the *slack* of the
exact ones. If a float32 similarity differs from a match's by more than the slack, it is clear
which of the two is ahead. Only the pairs within the slack are computed again, in float64. If they
are many, the whole tile is.

**Why a tile serves both sides.** Queries are sorted by class and cut into *blocks*. A *tile* holds
the similarities of a block of queries to a block of items. If the gallery is the queries, the
matrix of similarities is symmetric: a tile holds what its rows find among its columns, and also
what its columns find among its rows. It is multiplied once and counted for both blocks, so half
the matrix is enough.

**What need not be counted.** MAP@R and R-precision only look at the R nearest items. Once the j-th
match has more than R - j items ahead of it, it is not among them, and no metric needs its exact
rank. It is pruned; the others stay *active*. The first match is the exception: MRR and Recall@K
always need its rank. A sample of the gallery prunes most matches before the first tile.

**When rows are sorted instead.** A tile looks up each candidate among the matches of a query. That
is slow for a query with very many matches. `whole_rows` multiplies the whole row of such a query
in float64, sorts what reaches its active matches, and reads off the counts.

**Where to read on.** `search` is the way through. `plan` chooses sizes that fit the memory,
`matches` computes how similar the matches are, `tiles` counts with `block_counts`, and `threads`
keeps the cores busy. Others run on the same grid. `best` finds the best item of each
query's own class and of any other, and `roc`, with `pairs` and `below`, judges all pairs of items.
`nearest`, with `scan` and `items`, finds the k nearest items for `metrics.nearest` and galleries.

Glossary:

- match: a gallery item of the query's class, except the query itself.
- ahead: an item of another class is ahead of a match if it is at least as similar.
- active: a match whose exact rank is still needed.
- level: a similarity times 2**48, an integer.
- key: an integer that sorts matches by query, and then from the highest level to the lowest.
- slack: how far a float32 similarity may be from the exact one.
- block: queries, or items, that are neighbors in the order of the classes.
- tile: the similarities of a block of queries to a block of items.
"""
