// Numbers as people read them, and the colours of scores.

const NOTHING = "—";

// As in the Markdown report: two decimals, or significant digits where those say too little or too much.
function scoreText(value) {
  if (value === null || value === undefined) return NOTHING;
  const size = Math.abs(value);
  const text = value !== 0 && (size < 0.01 || size >= 1e6) ? String(Number(size.toPrecision(3))) : size.toFixed(2);
  return value < 0 ? `−${text}` : text;
}

function intervalText(interval) {
  return interval ? `[${scoreText(interval[0])}, ${scoreText(interval[1])}]` : NOTHING;
}

function signedText(value) {
  return value > 0 ? `+${scoreText(value)}` : scoreText(value);
}

function whole(count) {
  return count === null || count === undefined ? NOTHING : count.toLocaleString("en-US");
}

function secondsText(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const rounded = Math.round(seconds);
  const rest = (value) => String(value).padStart(2, "0");
  if (rounded < 3600) return `${Math.floor(rounded / 60)} min ${rest(rounded % 60)} s`;
  return `${Math.floor(rounded / 3600)} h ${rest(Math.floor((rounded % 3600) / 60))} min`;
}

function shareText(share) {
  return share === null || share === undefined ? NOTHING : `${(100 * share).toFixed(1)}%`;
}

// Cividis: even steps of lightness, alike for readers with any colour vision.
const SCALE = [
  [0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115],
  [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56],
];

// Where a value lies between the ends of the scale, from 0 to 1.
function shareOf(value, range) {
  return Math.min(1, Math.max(0, (value - range[0]) / (range[1] - range[0])));
}

function scaleColour(share) {
  const place = share * (SCALE.length - 1);
  const index = Math.min(SCALE.length - 2, Math.floor(place));
  const mixed = SCALE[index].map((part, i) => Math.round(part + (SCALE[index + 1][i] - part) * (place - index)));
  return `rgb(${mixed.join(" ")})`;
}

function scoreColour(score) {
  return scaleColour(shareOf(score, head.range));
}

// Differences: orange below zero, blue above, the further away the stronger; seen on light and dark ground.
function differenceColour(share) {
  const strength = Math.min(1, Math.abs(share - 0.5) * 2);
  const [from, to] = share < 0.5 ? [[178, 168, 156], [205, 96, 0]] : [[156, 166, 178], [24, 104, 196]];
  return `rgb(${from.map((part, i) => Math.round(part + (to[i] - part) * strength)).join(" ")})`;
}

// A score with its colour beside it; the number is always there.
function scoreMark(score, kind = "") {
  const mark = make("span", { class: `score ${kind}` }, scoreText(score));
  if (score === null || score === undefined) return mark;
  const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
  swatch.style.backgroundColor = scoreColour(score);
  mark.prepend(swatch);
  return mark;
}

// How far along the scale a score is, as a line.
function scoreLine(score) {
  const line = make("span", { class: "line", "aria-hidden": "true" });
  if (score === null || score === undefined) return line;
  const filled = make("span", {});
  filled.style.width = `${(100 * shareOf(score, head.range)).toFixed(2)}%`;
  filled.style.backgroundColor = scoreColour(score);
  line.append(filled);
  return line;
}
