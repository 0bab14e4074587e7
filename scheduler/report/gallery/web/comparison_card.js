// A pair of several runs: as a card, and in full.

const { runs, comparisons, fail_if_worse: limit } = data.comparison;
const withResponses = pairs.some((pair) => pair.runs.some((result) => result?.response || result?.message));

// So many runs that a card has room only for the first and the one that is compared with it.
const many = runs.length > 4;

const runOf = (label) => runs.findIndex((run) => run.label === label);
// For each comparison: the key of a pair -> its difference, or the reason why it does not count.
const outcomes = comparisons.map((comparison) => {
  const byKey = new Map(comparison.pairs.map((pair) => [pairKey(pair), { difference: pair.difference }]));
  const leaveOut = (left, reasonOf) => left.forEach((pair) => byKey.set(pairKey(pair), { reason: reasonOf(pair) }));
  leaveOut(comparison.not_comparable, (pair) => `not_comparable_${pair.differs.join("_")}`);
  leaveOut(comparison.without_score, () => "without_score");
  leaveOut(comparison.only_in_first, () => "only_in_first");
  leaveOut(comparison.only_in_other, () => "only_in_other");
  return byKey;
});

// The index of the comparison that the cards show.
function current() {
  return Math.max(0, comparisons.findIndex((comparison) => comparison.other === view.other));
}

// A pair that is in neither of the two runs has no outcome.
const differenceOf = (pair, index = current()) => outcomes[index].get(pairKey(pair))?.difference;

// The difference of the dimension that the view names, else of the score, if the pair counts.
function valueOf(pair) {
  const difference = differenceOf(pair);
  if (!isKnown(difference) || !dimensions.has(view.by)) return difference;
  const { first, other } = comparisons[current()];
  const [before, now] = [first, other].map((label) => dimensionOf(pair.runs[runOf(label)], view.by));
  return isKnown(before) && isKnown(now) ? now - before : null;
}

function outcomeOf(pair) {
  const difference = differenceOf(pair);
  if (!isKnown(difference)) return "left_out";
  if (difference === 0) return "tie";
  return difference > 0 ? "win" : "loss";
}

function leftOutText(pair, index = current()) {
  const { first, other } = comparisons[index];
  const reason = outcomes[index].get(pairKey(pair))?.reason;
  return reason ? t(`left_out.${reason}`, { first, other }) : "";
}

function differenceMark(pair) {
  const difference = differenceOf(pair);
  if (!isKnown(difference)) return make("span", { class: "state" }, t("outcome.left_out"));
  const mark = make("span", { class: "score large" }, signedText(difference));
  const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
  const width = page.range[1] - page.range[0];
  swatch.style.backgroundColor = differenceColour(0.5 + difference / width / 2);
  mark.prepend(swatch);
  return mark;
}

// The places of the runs that the cards show.
function cardRuns() {
  const { first, other } = comparisons[current()];
  return many ? [runOf(first), runOf(other)] : runs.map((_, index) => index);
}

function comparedPictures(pair, shownRuns = cardRuns()) {
  return [
    { label: t("source"), small: pair.source_thumbnail, full: null, missing: t("picture.none") },
    ...shownRuns.map((index) => runPicture(runs[index].label, page.runs[index].base, pair.runs[index])),
  ];
}

// A card has room for the edits alone.
function allPictures(pair) {
  return [...comparedPictures(pair, runs.map((_, index) => index)), ...furtherPictures(pair, "")];
}

function runPicture(label, base, result) {
  let missing = t("picture.removed");
  if (!result) missing = t("not.in.run");
  else if (!result.size) missing = textOf(result.message) || t("picture.not.yet");
  return {
    label,
    small: pictureUrl(result?.thumbnail, base),
    full: pictureUrl(result?.full_size, base),
    size: result?.size,
    missing,
    failed: Boolean(result && !result.size && result.message),
  };
}

function drawCard(pair) {
  const id = `pair-${pair.index}`;
  const pictures = make("div", { class: "pictures" }, comparedPictures(pair).map((picture) =>
    make("div", { class: "picture" }, pictureOf(picture), make("span", { class: "tag" }, picture.label))));
  return make("article", { class: `card ${outcomeOf(pair)}`, "aria-labelledby": id },
    pictures,
    make("div", { class: "card-head" },
      differenceMark(pair),
      make("h3", { id, class: "name" }, make("bdi", {}, pair.pair_id)),
      make("span", { class: "category" }, make("bdi", {}, pair.category))),
    make("p", { class: "scores" }, cardRuns().map((index) =>
      make("span", {}, make("i", {}, runs[index].label), " ", scoreMark(pair.runs[index]?.score))),
      make("span", { class: "quiet" }, leftOutText(pair))),
    dimensions.size > 0 && make("p", { class: "dimensions" }, dimensionDifferences(pair)),
    make("p", { class: "instruction", dir: "auto" }, textOf(pair.instruction)),
    withResponses && cardRuns().map((index) => {
      const text = replyText(pair.runs[index]) || textOf(pair.runs[index]?.message);
      return make("p", { class: "one-response", dir: "auto" }, text && [make("i", {}, runs[index].label), " ", text]);
    }));
}

function dimensionDifferences(pair) {
  if (!dimensions.has(view.by)) return null;
  return [make("bdi", {}, view.by), " ", cardRuns().map((index) => make("span", {}, make("i", {}, runs[index].label), " ",
    make("b", {}, scoreText(dimensionOf(pair.runs[index], view.by)))))];
}

let describedOther = comparisons[0]?.other;

function describePair(pair) {
  const { other } = comparisons[current()];
  if (describedOther !== other) stageChoice.right = runOf(other) + 1;
  describedOther = other;
  return {
    key: pairKey(pair),
    heading: [
      make("bdi", { class: "name" }, pair.pair_id), " ",
      make("bdi", { class: "category" }, pair.category), " ",
      differenceMark(pair),
    ],
    pictures: allPictures(pair),
    body: [
      make("dl", { class: "texts" },
        textBlock(t("outcome.left_out"), leftOutText(pair)),
        textBlock(t("instruction"), pair.instruction, "instruction"),
        textBlock(t("description"), pair.description, "description")),
      ...runs.map((run, index) => runBlock(run.label, page.runs[index].gallery, pair.runs[index], pairKey(pair))),
    ],
  };
}

function runBlock(label, gallery, result, key) {
  const address = `${gallery}#${new URLSearchParams({ pair: key })}`;
  return make("section", { class: "block" },
    make("h3", {}, label, " ", result && scoreMark(result.score), " ",
      make("a", { href: address, target: "_blank", rel: "noopener", class: "aside" }, t("open.run"))),
    !result && make("p", { class: "quiet" }, t("not.in.run")),
    result && dimensionsList(result.dimensions),
    make("dl", { class: "texts" },
      textBlock(t("failure"), result?.message, "failure"),
      textBlock(t("response"), replyText(result), "response")));
}
