// Numbers as people read them, and the colours of scores.

const NOTHING = "—";

// As in the Markdown report: two decimals, or three significant digits for very small and very large values.
function scoreText(value) {
  if (!isKnown(value)) return NOTHING;
  const size = Math.abs(value);
  const text = value !== 0 && (size < 0.01 || size >= 1e6) ? String(Number(size.toPrecision(3))) : size.toFixed(2);
  return value < 0 ? `−${text}` : text;
}

// As in the Markdown report: both ends with the same number of decimals, those of the end that is farther from 0.
function intervalText(interval) {
  if (!interval) return NOTHING;
  const largest = Math.max(...interval.map(Math.abs));
  if (largest >= 1e6) return `[${interval.map(scoreText).join(", ")}]`;
  const decimals = largest >= 0.01 || largest === 0 ? 2 : 2 - Math.floor(Math.log10(largest));
  const ends = interval.map((end) => {
    const text = Math.abs(end).toFixed(decimals);
    return end < 0 && Number(text) !== 0 ? `−${text}` : text;
  });
  return `[${ends.join(", ")}]`;
}

// An official number, as in the Markdown report: four significant digits.
function numberText(value) {
  if (!isKnown(value)) return NOTHING;
  const text = Math.abs(value) >= 1000 ? value.toFixed(0) : value.toPrecision(4);
  return text.replace("-", "−");
}

function numberIntervalText(interval) {
  return interval ? `[${interval.map(numberText).join(", ")}]` : NOTHING;
}

// The mean of differences may miss 0 by rounding alone.
function signedText(value) {
  if (isKnown(value) && Math.abs(value) < 1e-9) return scoreText(0);
  return value > 0 ? `+${scoreText(value)}` : scoreText(value);
}

function whole(count) {
  return !isKnown(count) ? NOTHING : count.toLocaleString("en-US");
}

function secondsText(seconds) {
  if (!isKnown(seconds)) return NOTHING;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const rounded = Math.round(seconds);
  const rest = (value) => String(value).padStart(2, "0");
  if (rounded < 3600) return `${Math.floor(rounded / 60)} min ${rest(rounded % 60)} s`;
  return `${Math.floor(rounded / 3600)} h ${rest(Math.floor((rounded % 3600) / 60))} min`;
}

function pText(p) {
  if (!isKnown(p)) return NOTHING;
  return p < 0.001 ? "<0.001" : p.toFixed(3);
}

function shareText(share) {
  return !isKnown(share) ? NOTHING : `${(100 * share).toFixed(1)}%`;
}

// Cividis: even steps of lightness, the same for readers with any colour vision.
const SCALE = [
  [0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115],
  [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56],
];

// The place of a value between the ends of the scale, from 0 to 1.
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
  return scaleColour(shareOf(score, page.range));
}

// Differences: orange below zero, blue above, stronger further away; visible on light and dark background.
function differenceColour(share) {
  const strength = Math.min(1, Math.abs(share - 0.5) * 2);
  const [from, to] = share < 0.5 ? [[178, 168, 156], [205, 96, 0]] : [[156, 166, 178], [24, 104, 196]];
  return `rgb(${from.map((part, i) => Math.round(part + (to[i] - part) * strength)).join(" ")})`;
}

// A score with its colour beside it.
function scoreMark(score, kind = "") {
  const mark = make("span", { class: `score ${kind}` }, scoreText(score));
  if (!isKnown(score)) return mark;
  const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
  swatch.style.backgroundColor = scoreColour(score);
  mark.prepend(swatch);
  return mark;
}

// The place of a score on the scale, as a line. Where less is better, the colours are turned.
function scoreLine(score, { range = page.range, better = "higher" } = {}) {
  const line = make("span", { class: "line", "aria-hidden": "true" });
  if (!isKnown(score)) return line;
  const filled = make("span", {});
  const share = shareOf(score, range);
  filled.style.width = `${(100 * share).toFixed(2)}%`;
  filled.style.backgroundColor = scaleColour(better === "lower" ? 1 - share : share);
  line.append(filled);
  return line;
}

// The share that a reward with `scoring: logits` gave to each number of the scale; null for a response in words.
function sharesOf(score) {
  return score.method === "logits" && typeof score.response === "string" ? sharesIn(score.response) : null;
}

function sharesIn(text) {
  try {
    const shares = Object.entries(JSON.parse(text).numbers).map((entry) => entry.map(Number));
    return shares.length && shares.flat().every(Number.isFinite) ? shares.sort(([a], [b]) => a - b) : null;
  } catch {
    return null;
  }
}

function likeliest(shares) {
  const first = [...shares].sort(([, a], [, b]) => b - a).slice(0, 5).filter(([, share], i) => i === 0 || share >= 0.005);
  return first.map(([number, share]) => `${number}: ${Math.round(100 * share)}%`).join(" · ");
}

// The response of a score as people read it, the shares of each aspect in turn.
function replyText(score) {
  if (score?.method === "logits" && typeof score.response === "string") {
    const lines = score.response.split("\n").map(sharesIn);
    if (lines.every(Boolean)) return lines.map(likeliest).join(" | ");
  }
  return textOf(score?.response);
}
