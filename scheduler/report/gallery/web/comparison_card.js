// A pair of several runs: as a card, and in full.

const pairs = data.items;
const parts = { reply: pairs.some((pair) => pair.runs.some((part) => part?.reply || part?.failure)) };

// The comparison that is looked at: that of the first run with this one.
function against() {
  return Math.max(0, head.against.findIndex((one) => head.runs[one.other].label === view.other));
}

const firstRun = () => head.runs[0];
const otherRun = () => head.runs[head.against[against()].other];
const differenceOf = (pair) => pair.differences[against()];

function outcomeOf(pair) {
  const difference = differenceOf(pair);
  if (difference === null) return "left_out";
  if (difference === 0) return "same";
  return difference > 0 ? "better" : "worse";
}

function leftOutText(pair) {
  const reason = pair.left_out[against()];
  return reason ? t(`left_out.${reason}`, { first: firstRun().label, other: otherRun().label }) : "";
}

function differenceMark(pair) {
  const difference = differenceOf(pair);
  if (difference === null) return make("span", { class: "state" }, t("outcome.left_out"));
  const mark = make("span", { class: "score large" }, signedText(difference));
  const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
  const width = head.range[1] - head.range[0];
  swatch.style.backgroundColor = differenceColour(0.5 + difference / width / 2);
  mark.prepend(swatch);
  return mark;
}

function comparedPictures(pair) {
  return [
    { label: t("source"), small: pair.source, full: null, missing: t("picture.none") },
    ...head.runs.map((run, number) => runPicture(run, pair.runs[number])),
  ];
}

function runPicture(run, part) {
  let missing = t("picture.removed");
  if (!part) missing = t("not.in.run");
  else if (!part.edited) missing = textOf(part.failure) || t("picture.not.yet");
  return {
    label: run.label,
    small: pictureUrl(part?.thumbnail, run.base),
    full: pictureUrl(part?.full, run.base),
    size: part?.size,
    missing,
    failed: Boolean(part && !part.edited && part.failure),
  };
}

function drawCard(pair) {
  const id = `pair-${pair.index}`;
  const shown = comparedPictures(pair);
  const pictures = make("div", { class: "pictures" }, shown.map((picture) =>
    make("div", { class: "picture" }, pictureOf(picture), make("span", { class: "tag" }, picture.label))));
  return make("article", { class: `card ${outcomeOf(pair)}`, "aria-labelledby": id },
    pictures,
    make("div", { class: "card-head" },
      differenceMark(pair),
      make("h3", { id, class: "name" }, make("bdi", {}, pair.id)),
      make("span", { class: "category" }, make("bdi", {}, head.categories[pair.category].name))),
    make("p", { class: "scores" }, head.runs.map((run, number) =>
      make("span", {}, make("i", {}, run.label), " ", scoreMark(pair.runs[number]?.score))),
      make("span", { class: "quiet" }, leftOutText(pair))),
    make("p", { class: "instruction", dir: "auto" }, textOf(pair.instruction)),
    parts.reply && head.runs.map((run, number) => {
      const said = textOf(pair.runs[number]?.reply ?? pair.runs[number]?.failure);
      return make("p", { class: "one-reply", dir: "auto" }, said && [make("i", {}, run.label), " ", said]);
    }));
}

function describePair(pair) {
  const name = head.categories[pair.category].name;
  const key = `${name}/${pair.id}`;
  return {
    key,
    heading: [
      make("bdi", { class: "name" }, pair.id), " ",
      make("bdi", { class: "category" }, name), " ",
      differenceMark(pair),
    ],
    pictures: comparedPictures(pair),
    body: [
      make("dl", { class: "texts" },
        textBlock(t("outcome.left_out"), leftOutText(pair)),
        textBlock(t("instruction"), pair.instruction, "instruction"),
        textBlock(t("description"), pair.description, "description")),
      ...head.runs.map((run, number) => runBlock(run, pair.runs[number], key)),
    ],
  };
}

function runBlock(run, part, key) {
  const address = `${run.page}#${new URLSearchParams({ pair: key })}`;
  return make("section", { class: "block" },
    make("h3", {}, run.label, " ", part && scoreMark(part.score), " ",
      make("a", { href: address, target: "_blank", rel: "noopener", class: "aside" }, t("open.run"))),
    !part && make("p", { class: "quiet" }, t("not.in.run")),
    make("dl", { class: "texts" },
      textBlock(t("failure"), part?.failure, "failure"),
      textBlock(t("reply"), part?.reply, "reply")));
}
