// Scales and ticks of the plots.

// Round numbers from `low` to `high`, about `count` of them; 1, 2 or 5 times a power of ten apart.
function ticksBetween(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough * 0.7);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * step);
}

// The ends of an axis for these values: a little beyond the least and the largest, but not far beyond `limits`, the ends
// of their scale, where the interval of few values may reach.
function endsFor(values, limits = null) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const low = limits ? Math.max(least, Math.min(limits[0], most)) : least;
  const high = limits ? Math.min(most, Math.max(limits[1], least)) : most;
  const room = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

// A tick's text, with as many decimals as its distance to the next one needs.
function tickText(value, ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : Math.abs(value) || 1;
  if (Math.abs(value) >= 1e4) return largeText(value);
  const decimals = Math.min(6, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const text = Math.abs(value).toFixed(decimals);
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

function largeText(value) {
  const size = Math.abs(value);
  const [unit, name] = size >= 1e6 ? [1e6, "M"] : size >= 1e5 ? [1e3, "k"] : [1, ""];
  return unit === 1 ? whole(value) : `${Number((value / unit).toPrecision(4))}${name}`.replace("-", "−");
}

// Ticks of a time in seconds are in minutes or hours where that is rounder.
function timeTicks(low, high, count) {
  const unit = high >= 2 * 3600 ? 3600 : high >= 120 ? 60 : 1;
  const name = { 3600: "h", 60: "min", 1: "s" }[unit];
  const ticks = ticksBetween(low / unit, high / unit, count);
  return ticks.map((value) => [value * unit, `${tickText(value, ticks)} ${name}`]);
}
