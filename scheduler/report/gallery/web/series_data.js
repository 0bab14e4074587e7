// A series of runs: what its JSON form says, and the run that the whole page shows.

const { series } = data;
const { runs } = series;

// The order in which a reader goes through the runs: that of their steps; without steps the best first.
const order = series.by_step ? runs.map((_, number) => number) : series.ranking;
const placeOf = new Map(order.map((number, place) => [number, place]));
const bestRun = series.ranking.find((number) => runs[number].ranked) ?? null;

// Trainings that have steps, each with its colour; a series has one line for each.
const trainings = [...new Set(runs.filter((run) => isKnown(run.step)).map((run) => run.training ?? ""))];
const TRAINING_COLOURS = 5;
const colourClass = (run) => `line-${Math.max(0, trainings.indexOf(run.training ?? "")) % TRAINING_COLOURS}`;

// The places in `order` to which no line leads from the one before: another training begins, or there are no steps.
const beginnings = new Set(order.map((number, place) => [runs[number], runs[order[place - 1]], place])
  .filter(([run, before]) => before && (!isKnown(run.step) || !isKnown(before.step) || run.training !== before.training))
  .map(([, , place]) => place));

function currentRun() {
  const named = runs.findIndex((run) => run.run === view.run);
  return named >= 0 ? named : order[series.by_step ? order.length - 1 : 0];
}

// Elements that show the current run, each with the function that draws it anew. Elements that were removed are
// forgotten with them.
const followers = new WeakMap();

function follow(node, show) {
  node.dataset.follows = "";
  followers.set(node, show);
  show(currentRun());
  return node;
}

function showRun(root) {
  for (const node of root.querySelectorAll("[data-follows]")) followers.get(node)?.(currentRun());
}

// Browsers limit how often the URL changes, and a slider moves often.
let writing = null;

function chooseRun(number) {
  if (number === currentRun() || !runs[number]) return;
  view.run = runs[number].run;
  clearTimeout(writing);
  writing = setTimeout(writeView, 200);
  // What is behind a dialog is drawn when that is closed.
  showRun(document.querySelector("dialog[open]") ?? document);
}

document.addEventListener("close", () => showRun(document), true);

function stepRun(by) {
  const place = placeOf.get(currentRun()) + by;
  if (place >= 0 && place < order.length) chooseRun(order[place]);
}

// Titles of the checkpoints of one training are shown without its name, which the page has as its own.
const common = trainings.length === 1 ? `${trainings[0].split("/").at(-1)}/` : "";
const nameOf = ({ title }) => (common.length > 1 && title.startsWith(common) ? title.slice(common.length) : title);
const stepText = (run) => (isKnown(run.step) ? t("step.n", { n: whole(run.step) }) : nameOf(run));
// What is written where there is little room.
const shortName = (run) => (isKnown(run.step) ? whole(run.step) : nameOf(run).split("/").at(-1));

// Of a pair: `statuses` has a letter for each run, and is left out where all are scored.
const PAIR_STATUS = { s: "scored", e: "edited", f: "failed", m: "missing", a: "absent", o: "other" };
const statusIn = (pair, number) => PAIR_STATUS[pair.statuses?.[number] ?? "s"];
const scoreIn = (pair, number) => pair.scores[number];
// A path that all runs share is written once.
const pathIn = (paths, number) => (Array.isArray(paths) ? paths[number] : paths);

// For each run: the key of a pair -> why it failed.
const failuresIn = runs.map((run) => new Map((run.failures ?? []).map((failure) => [pairKey(failure), failure])));

// Why the pair has no score in this run, or none that can be compared; "" if it has.
function reasonIn(pair, number) {
  const status = statusIn(pair, number);
  if (status === "scored") return "";
  const failure = failuresIn[number].get(pairKey(pair));
  return failure ? `${failure.kind}: ${textOf(failure.message)}` : t(`reason.${status}`);
}

const anyPictures = pairs.some((pair) => pair.source || pair.thumbnails || pair.images);

function sourceOf(pair) {
  return { label: t("source"), small: pair.source, full: null, missing: t("picture.none") };
}

function editIn(pair, number) {
  const { base } = page.runs[number];
  const small = pictureUrl(pathIn(pair.thumbnails, number), base);
  const status = statusIn(pair, number);
  const unedited = !small && status !== "scored" && status !== "edited";
  return {
    label: stepText(runs[number]),
    small,
    full: pictureUrl(pathIn(pair.images, number), base),
    missing: unedited ? reasonIn(pair, number) : t("picture.removed"),
    failed: unedited && status === "failed",
  };
}

// The later score less the earlier one; null without both.
function changeOf(pair, earlier, later) {
  const [before, now] = [scoreIn(pair, earlier), scoreIn(pair, later)];
  return isKnown(before) && isKnown(now) ? now - before : null;
}
