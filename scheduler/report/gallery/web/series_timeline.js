// The slider over the runs, with the curve of the mean behind it. It can play.

const PLAY_MS = 700;
const CLEAR = "M8 4v16l13-8z";
const PAUSE = "M6 4h4v16h-4zM14 4h4v16h-4z";

// `curve`: the values behind the slider, one for each place in `order`, and the ends of their scale.
function timeline(curve, range, { autofocus = false } = {}) {
  if (order.length < 2) return null;
  const input = make("input", {
    type: "range", class: "steps", min: 0, max: order.length - 1, step: 1, "aria-label": t("timeline"), autofocus,
    on: { input: () => chooseRun(order[Number(input.value)]) },
  });
  const name = make("span", { class: "timeline-name" });
  const line = sparkline(curve, { range });
  const button = playButton();
  const track = make("div", { class: "track" }, line,
    make("div", { class: "stops", "aria-hidden": "true" }, order.map(() => make("i", {}))), input);
  const node = make("div", { class: "timeline", role: "group", "aria-label": t("timeline") },
    button, track, name);
  return follow(node, (number) => {
    const place = placeOf.get(number);
    input.value = String(place);
    input.setAttribute("aria-valuetext", shown(stepText(runs[number])));
    line.mark(place);
    track.style.setProperty("--share", String(place / (order.length - 1)));
    name.replaceChildren(...timelineName(number, curve[place]));
  });
}

function timelineName(number, value) {
  const run = runs[number];
  return [
    make("b", {}, make("bdi", {}, stepText(run))),
    isKnown(run.step) ? make("bdi", { class: "quiet" }, nameOf(run)) : "",
    scoreMark(value),
  ];
}

// Goes on to the next run until the last, and from the last begins again with the first.
function playButton() {
  let timer = null;
  const icon = make("path", { d: CLEAR });
  const button = make("button", { type: "button", class: "icon play", title: t("play"), "aria-label": t("play") },
    make("svg", { viewBox: "0 0 24 24", width: 18, height: 18, "aria-hidden": "true" }, icon));
  const stop = () => {
    clearInterval(timer);
    timer = null;
    icon.setAttribute("d", CLEAR);
    button.setAttribute("aria-pressed", "false");
  };
  const next = () => {
    if (!button.isConnected || placeOf.get(currentRun()) === order.length - 1) stop();
    else stepRun(1);
  };
  button.addEventListener("click", () => {
    if (timer) {
      stop();
      return;
    }
    if (placeOf.get(currentRun()) === order.length - 1) chooseRun(order[0]);
    timer = setInterval(next, PLAY_MS);
    icon.setAttribute("d", PAUSE);
    button.setAttribute("aria-pressed", "true");
  });
  button.setAttribute("aria-pressed", "false");
  return button;
}

// The key `[` leads to the run before, `]` to the next one.
function runKey(event) {
  if (event.key !== "[" && event.key !== "]") return false;
  stepRun(event.key === "]" ? 1 : -1);
  return true;
}
