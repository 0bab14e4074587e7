// The section with the plot: the value to show, the plot by step or by rank, and in figures the run that is shown.

const PLOTS = ["step", "rank"];

function scoresSection() {
  const metrics = allMetrics();
  const readout = make("div", { class: "readout", "aria-live": "polite" });
  const place = make("div", { class: "plot-place" });
  const note = make("p", { class: "quiet" });
  let pointed = null;

  const kind = () => (series.by_step && view.plot !== "rank" ? "step" : "rank");
  const read = () => readout.replaceChildren(...readoutOf(chosenMetric(metrics), pointed ?? currentRun()));
  const onPoint = (number) => {
    if (number === pointed) return;
    pointed = number;
    read();
  };

  function draw() {
    const metric = chosenMetric(metrics);
    pointed = null;
    read();
    note.textContent = t(kind() === "step" ? "scores.note" : "scores.note.ranked");
    if (!runs.some((run) => isKnown(metric.pointOf(run).value))) {
      place.replaceChildren(make("p", { class: "empty" }, t("series.no.scores")));
      return;
    }
    place.replaceChildren(kind() === "step" ? stepPlot(metric, onPoint) : rankedPlot(metric, onPoint));
  }

  const section = make("section", { class: "results scores-section" },
    make("div", { class: "heading-row" }, make("h2", {}, t("scores")), series.by_step && plotButtons(kind, draw)),
    make("div", { class: "plot-grid" },
      make("div", { class: "plot-main" }, readout, place, trainings.length > 1 && legend()),
      metricList(metrics, draw)),
    note);
  draw();
  return follow(section, read);
}

function plotButtons(kind, draw) {
  const buttons = PLOTS.map((name) => make("button", {
    type: "button", class: "segment", "aria-pressed": String(kind() === name),
    on: {
      click: () => {
        view.plot = name === "step" ? "" : name;
        writeView();
        buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(PLOTS[index] === name)));
        draw();
      },
    },
  }, t(`plot.${name}`)));
  return make("div", { class: "segments", role: "group", "aria-label": t("plot") }, buttons);
}

// The lines of several trainings, by name.
function legend() {
  return make("p", { class: "legend" }, trainings.map((training, index) => make("span", {},
    make("i", { class: `line-${index % TRAINING_COLOURS}` }), make("bdi", {}, training.split("/").at(-1) || NOTHING))));
}

function readoutOf(metric, number) {
  const run = runs[number];
  const { value, interval, num, missing } = metric.pointOf(run);
  const facts = [
    interval && `${t("ci95")} ${metricInterval(metric, interval)}`,
    isKnown(num) && t("scored.n", { n: whole(num) }),
    metric.better === "lower" && metric.group === "dimension" && t("lower.is.better"),
    missing,
  ].filter(Boolean).join(" · ");
  return [
    make("span", { class: isKnown(value) ? "readout-value" : "readout-value none" },
      isKnown(value) ? metricText(metric, value) : NOTHING),
    make("span", { class: "readout-text" },
      make("span", { class: "readout-name" },
        isKnown(run.step) && make("b", {}, stepText(run)),
        make(isKnown(run.step) ? "span" : "b", {}, make("bdi", {}, nameOf(run))),
        number === bestRun && make("span", { class: "status" }, t("best"))),
      make("span", { class: "quiet" }, facts)),
  ];
}
