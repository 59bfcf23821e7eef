// Line charts, by uPlot.
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"], DARK_COLORS = ["#6bbcf0", "#ff9a4d", "#45d0a5", "#e6a3c6"];

function lineChart(holder, { x, series, height = 240, format = (v) => v.toFixed(3), label, wholes = false, options = {} }) {
  let chart;
  const draw = () => {
    chart?.destroy();
    const palette = dark.matches ? DARK_COLORS : COLORS;
    const axis = { stroke: color("quiet"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line") } };
    const across = wholes ? { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] } : axis;
    const lines = series.map((one, i) => ({
      label: one.name, stroke: palette[i % palette.length], width: 2, dash: one.dash,
      points: { show: x.length < 40 }, spanGaps: true,
      value: (_, v) => (v == null ? "–" : format(v)),
    }));
    chart = new uPlot({
      width: holder.clientWidth, height, scales: { x: { time: false } },
      cursor: { drag: { x: false, y: false } },
      axes: [across, { ...axis, size: 52 }],
      series: [{ label, value: (_, v) => (v == null ? "–" : String(v)) }, ...lines], ...options,
    }, [x, ...series.map((one) => one.values)], holder);
    return chart;
  };
  draw();
  dark.addEventListener("change", draw);
  new ResizeObserver(() => chart.setSize({ width: holder.clientWidth, height })).observe(holder);
  return () => chart;
}

for (const holder of document.querySelectorAll("[data-chart]")) {
  const { epochs, series } = data.charts[Number(holder.dataset.chart)];
  lineChart(holder, { x: epochs, series, label: "epoch", wholes: true });
}
