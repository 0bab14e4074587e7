// The distribution of scores, or of differences: a small histogram, with the mean and its interval below.

const CHART = { width: 200, height: 40, bins: 20, axis: 31 };

// `range`: the ends of the axis; `colour`: of a place on it, from 0 to 1.
function histogram(scores, mean, ci95, { range = page.range, colour = scaleColour, label = "chart" } = {}) {
  const values = { n: whole(scores.length), mean: scoreText(mean), ci: intervalText(ci95) };
  const picture = make("svg", {
    class: "histogram", role: "img", "aria-label": t(label, values),
    viewBox: `0 0 ${CHART.width} ${CHART.height}`, width: CHART.width, height: CHART.height,
  });
  const x = (value) => 1 + shareOf(value, range) * (CHART.width - 2);
  const counts = new Array(CHART.bins).fill(0);
  for (const score of scores) {
    counts[Math.min(CHART.bins - 1, Math.floor(shareOf(score, range) * CHART.bins))] += 1;
  }
  const most = Math.max(1, ...counts);
  const width = (CHART.width - 2) / CHART.bins;
  counts.forEach((count, bin) => {
    if (!count) return;
    const height = Math.max(1.5, (count / most) * (CHART.axis - 2));
    picture.append(make("rect", {
      x: 1 + bin * width + 0.5, y: CHART.axis - height, width: width - 1, height,
      fill: colour((bin + 0.5) / CHART.bins), class: "bin",
    }));
  });
  picture.append(make("line", { x1: 0, x2: CHART.width, y1: CHART.axis, y2: CHART.axis, class: "axis" }));
  if (range[0] < 0 && range[1] > 0) {
    picture.append(make("line", { x1: x(0), x2: x(0), y1: 2, y2: CHART.height, class: "zero" }));
  }
  if (!isKnown(mean)) return picture;
  if (ci95) picture.append(make("line", { x1: x(ci95[0]), x2: x(ci95[1]), y1: 36, y2: 36, class: "interval" }));
  picture.append(make("circle", { cx: x(mean), cy: 36, r: 2.6, class: "mean" }));
  return picture;
}

// The shares that a reward gave to each number of the scale: [number, share], the numbers in order.
function sharesChart(shares) {
  const picture = make("svg", {
    class: "shares", role: "img", viewBox: "0 0 200 44",
    "aria-label": shares.map(([number, share]) => `${number}: ${shareText(share)}`).join(", "),
  });
  const most = Math.max(...shares.map(([, share]) => share), 1e-9);
  const width = 200 / shares.length;
  const every = Math.ceil(shares.length / 12);
  shares.forEach(([number, share], place) => {
    const height = (share / most) * 31;
    const middle = (place + 0.5) * width;
    picture.append(
      make("rect", {
        x: middle - width * 0.4, y: 33 - height, width: width * 0.8, height,
        fill: scaleColour(shareOf(number, page.range)), class: "bin",
      }),
      place % every === 0 ? make("text", { x: middle, y: 42 }, String(number)) : "",
    );
  });
  picture.append(make("line", { x1: 0, x2: 200, y1: 33, y2: 33, class: "axis" }));
  return picture;
}
