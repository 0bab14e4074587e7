// A value against the steps, with intervals. The reader goes from run to run with the pointer or the arrow keys.

const PLOT = { left: 54, right: 22, top: 16, bottom: 26, slot: 50 };

// `onPoint(number)` is called with the run under the pointer, and with null when there is none.
function stepPlot(metric, onPoint) {
  const holder = make("div", {
    class: "plot", role: "slider", tabindex: 0, "aria-label": t("plot.label", { name: metric.name }),
    "aria-valuemin": 0, "aria-valuemax": order.length - 1,
  });
  let places = [];
  let drawnWidth = 0;

  function draw() {
    const width = holder.clientWidth;
    if (!width || width === drawnWidth) return;
    drawnWidth = width;
    const drawn = drawStepPlot(metric, width);
    places = drawn.places;
    holder.replaceChildren(drawn.picture);
    mark(currentRun());
  }

  function mark(number) {
    if (!places.length) return;
    const guide = holder.querySelector(".guide");
    for (const end of ["x1", "x2"]) guide.setAttribute(end, places[number][0]);
    holder.querySelector(".current")?.classList.remove("current");
    holder.querySelector(`[data-run="${number}"]`)?.classList.add("current");
  }

  function nearest(event) {
    const box = holder.getBoundingClientRect();
    const distance = ([x, y]) => Math.hypot(x - (event.clientX - box.left), ((y ?? box.height) - (event.clientY - box.top)) / 4);
    const distances = places.map(distance);
    return distances.indexOf(Math.min(...distances));
  }

  holder.addEventListener("pointermove", (event) => onPoint(nearest(event)));
  holder.addEventListener("pointerleave", () => onPoint(null));
  holder.addEventListener("click", (event) => {
    chooseRun(nearest(event));
    onPoint(null);
  });
  holder.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !(by || event.key === "Home" || event.key === "End")) return;
    event.preventDefault();
    if (by) stepRun(by);
    else chooseRun(order[event.key === "Home" ? 0 : order.length - 1]);
  });
  new ResizeObserver(oncePerFrame(draw)).observe(holder);
  return follow(holder, (number) => {
    holder.setAttribute("aria-valuenow", placeOf.get(number));
    holder.setAttribute("aria-valuetext", shown(pointText(metric, number)));
    mark(number);
  });
}

function pointText(metric, number) {
  const point = metric.pointOf(runs[number]);
  const value = isKnown(point.value)
    ? [metricText(metric, point.value), point.interval && metricInterval(metric, point.interval)] : [point.missing];
  return [stepText(runs[number]), ...value.filter(Boolean)].join(" ");
}

// The picture, and the place of each run in it: [x, y], where y is null without a value.
function drawStepPlot(metric, width) {
  const height = Math.round(Math.min(400, Math.max(230, width * 0.46)));
  const points = runs.map((run) => metric.pointOf(run));
  const values = points.flatMap(({ value, interval }) => [value, ...(interval ?? [])]).filter(isKnown);
  const x = stepScale(width);
  const ends = endsFor(values, metric.limits);
  const y = (value) => PLOT.top + (1 - shareOf(value, ends)) * (height - PLOT.top - PLOT.bottom);
  const floor = height - PLOT.bottom;
  const places = runs.map((run, number) => [x(number), isKnown(points[number].value) ? y(points[number].value) : null]);
  const picture = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" },
    valueGrid(metric, ends, y, width, height), stepTicks(x, width, floor));
  picture.append(make("line", { class: "guide", y1: PLOT.top - 8, y2: floor }));
  runs.forEach((run, number) => {
    if (isKnown(run.step) || !isKnown(places[number][1])) return;
    // A run without a step, such as the model before its training, is a level to compare with.
    const level = places[number][1];
    picture.append(make("line", { class: "level", x1: places[number][0], x2: width - PLOT.right, y1: level, y2: level }));
  });
  for (const training of trainings) {
    const members = runs.map((run, number) => [run, number])
      .filter(([run]) => isKnown(run.step) && (run.training ?? "") === training).map(([, number]) => number);
    const heights = members.map((number) => places[number][1]);
    const { line: d } = brokenPath(heights, (index) => places[members[index]][0], (height) => height);
    picture.append(make("path", { class: `course ${colourClass(runs[members[0]])}`, d }));
  }
  points.forEach((point, number) => picture.append(...pointMarks(point, number, places[number], y, floor)));
  return { picture, places };
}

function pointMarks({ value, interval }, number, [x, place], y, floor) {
  const colour = isKnown(runs[number].step) ? colourClass(runs[number]) : "line-none";
  if (!isKnown(value)) {
    const d = `M${x - 4} ${floor - 4}l8 -8m0 8l-8 -8`;
    return [make("path", { class: "absent", d, "data-run": number })];
  }
  const marks = [make("circle", {
    class: `point ${colour}${runs[number].judged_alike ? "" : " apart"}`, cx: x, cy: place, r: 4.6, "data-run": number,
  })];
  if (interval) {
    marks.unshift(make("line", { class: `whisker ${colour}`, x1: x, x2: x, y1: y(interval[0]), y2: y(interval[1]) }));
  }
  if (number === bestRun) marks.push(make("circle", { class: "best-ring", cx: x, cy: place, r: 9 }));
  return marks;
}

// Runs with steps lie in proportion to them; those without stand left of them.
function stepScale(width) {
  const steps = runs.map((run) => run.step).filter(isKnown);
  const without = runs.length - steps.length;
  const [low, high] = [Math.min(...steps), Math.max(...steps)];
  const left = PLOT.left + 14 + without * Math.min(PLOT.slot, (width * 0.3) / Math.max(1, without));
  const right = width - PLOT.right;
  let slot = 0;
  const xs = runs.map((run) => {
    if (isKnown(run.step)) return high > low ? left + ((run.step - low) / (high - low)) * (right - left) : (left + right) / 2;
    slot += 1;
    return PLOT.left + 14 + (slot - 0.6) * ((left - PLOT.left - 14) / without);
  });
  return (number) => xs[number];
}

function valueGrid(metric, ends, y, width, height) {
  const count = height > 300 ? 6 : 4;
  const plain = ticksBetween(...ends, count);
  const ticks = metric.kind === "seconds" ? timeTicks(...ends, count) : plain.map((value) => [value, tickText(value, plain)]);
  return ticks.map(([value, text]) => [
    make("line", { class: "gridline", x1: PLOT.left, x2: width - PLOT.right + 10, y1: y(value), y2: y(value) }),
    make("text", { class: "tick value", x: PLOT.left - 8, y: y(value) + 4 }, text)]);
}

// The steps of the runs, as many as have room.
function stepTicks(x, width, floor) {
  const marks = [make("line", { class: "axis", x1: PLOT.left, x2: width - PLOT.right + 10, y1: floor, y2: floor })];
  const seen = new Map();
  runs.forEach((run, number) => seen.set(run.step ?? `none ${number}`, number));
  const inOrder = [...seen.values()].sort((first, second) => x(first) - x(second));
  const withText = [];
  for (const number of [inOrder.at(-1), ...inOrder]) {
    const text = isKnown(runs[number].step) ? largeText(runs[number].step) : "–";
    const reach = text.length * 3.6 + 7;
    if (withText.every(([place, others]) => Math.abs(place - x(number)) >= reach + others)) {
      withText.push([x(number), reach]);
      marks.push(make("text", { class: "tick", x: x(number), y: floor + 18 }, text));
    }
  }
  for (const number of inOrder) {
    marks.push(make("line", { class: "axis", x1: x(number), x2: x(number), y1: floor, y2: floor + 4 }));
  }
  marks.push(make("text", { class: "tick axis-name", x: PLOT.left - 8, y: floor + 18 }, t("step")));
  return marks;
}
