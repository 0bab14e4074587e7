// The page of a series of runs.

// The two runs whose change the pairs are ordered by: those that the reader chooses, by default the first change of
// the JSON form, else the first and the last run.
const changes = series.changes ?? [];

function chosenChange() {
  return changes.find(({ earlier, later }) => `${runs[earlier].run}>${runs[later].run}` === view.other) ?? changes[0]
    ?? { earlier: order[0], later: order.at(-1) };
}

const earlierRun = () => chosenChange().earlier;
const laterRun = () => chosenChange().later;
const change = (pair) => changeOf(pair, earlierRun(), laterRun());

function spread(pair) {
  const known = pair.scores.filter(isKnown);
  return known.length > 1 ? Math.max(...known) - Math.min(...known) : null;
}

function meanOf(pair) {
  const known = pair.scores.filter(isKnown);
  return known.length ? known.reduce((sum, score) => sum + score, 0) / known.length : null;
}

function outcome(pair) {
  const difference = change(pair);
  if (!isKnown(difference)) return "unknown";
  if (difference === 0) return "tie";
  return difference > 0 ? "win" : "loss";
}

const rules = {
  texts: (pair) => [pair.pair_id, pair.category, pair.instruction, pair.description],
  score: change,
  statusOf: outcome,
  firstOrder: runs.length > 1 ? "worse" : "file",
  orders: {
    ...(runs.length > 1 ? {
      worse: by(change, 1), better: by(change, -1), spread: by(spread, -1),
    } : {}),
    worst: by(meanOf, 1),
    best: by(meanOf, -1),
    file: inFileOrder,
    category: by(categoryPlace, 1),
  },
};

function fields() {
  const counts = new Map();
  for (const pair of pairs) counts.set(outcome(pair), (counts.get(outcome(pair)) ?? 0) + 1);
  const statuses = runs.length > 1 ? ["win", "tie", "loss", "unknown"].filter((name) => counts.has(name)) : [];
  const between = ({ earlier, later }) => `${shortName(runs[earlier])} → ${shortName(runs[later])}`;
  return {
    searchHint: t("search.hint.series"),
    statusName: t("change"),
    statuses: [["", t("all.statuses")], ...statuses.map((name) =>
      [name, `${t(`change.${name}`)} (${whole(counts.get(name))})`])],
    sorts: Object.keys(rules.orders).map((name) => [name === rules.firstOrder ? "" : name, t(`sort.series.${name}`)]),
    otherName: t("change.from.to"),
    others: changes.length > 1 && changes.map((each, index) =>
      [index ? `${runs[each.earlier].run}>${runs[each.later].run}` : "", between(each)]),
    layouts: runs.length > 1 && [["", t("layout.one")], ["strip", t("layout.strip")]],
  };
}

document.documentElement.style.setProperty("--runs", String(runs.length));

startPage({
  title: () => `${page.title} · ${t("series.title")}`,
  narrowest: () => (isStrip() ? 5000 : 330),
  ratio: page.ratio,
  drawCard,
  describe: describePair,
  picturesOf: (pair) => [sourceOf(pair), editIn(pair, currentRun())],
  rules,
  fields,
  redrawOn: ["layout", "other"],
  onKey: runKey,
  before: ({ openPair }) => [
    masthead(),
    scoresSection(),
    runsTable(),
    settingsSection(),
    leftOutSection(openPair),
    costSection(),
  ],
  below: () => timeline(order.map((number) => runs[number].mean), null),
});
