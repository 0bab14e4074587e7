// A pair of one run as a card: both pictures, the score, the texts. Every part has its place even if it is empty,
// because all cards have the same height.

const { report } = data;

const failures = new Map();
for (const failure of report.failures) {
  const key = pairKey(failure);
  if (!failures.has(key)) failures.set(key, []);
  failures.get(key).push(failure);
}
const failuresOf = (pair) => failures.get(pairKey(pair)) ?? [];
const scoresOf = (pair) => pair.samples.flatMap((sample) => sample.scores);
const answersOf = (pair) => pair.samples.flatMap((sample) => sample.answers);
const responsesOf = (pair) => [...scoresOf(pair), ...answersOf(pair)].map(({ response }) => response).filter(Boolean);

// The parts that this run's cards have.
const parts = {
  description: pairs.some((pair) => pair.description),
  response: pairs.some((pair) => responsesOf(pair).length),
  dimensions: dimensions.size > 0,
  samples: report.samples_per_pair > 1 || report.reward_passes > 1,
};

// Stored, because sorting ten thousand pairs reads it a quarter of a million times.
function editSeconds(pair) {
  if (pair.editSeconds === undefined) {
    const seconds = pair.samples.map((sample) => sample.edit_device_seconds).filter(isKnown);
    pair.editSeconds = seconds.length ? seconds.reduce((sum, value) => sum + value, 0) : null;
  }
  return pair.editSeconds;
}

// The range of the scores of a pair, over all samples and passes.
function spread(pair) {
  const scores = scoresOf(pair).map((score) => score.score);
  return scores.length > 1 ? Math.max(...scores) - Math.min(...scores) : null;
}

function failureText(failure) {
  return `${failure.kind}: ${textOf(failure.message)}`;
}

function sourcePicture(pair) {
  return { label: t("source"), small: pictureUrl(pair.source_thumbnail, page.base), full: null, missing: t("picture.none") };
}

// The picture of one sample's edit, or the reason why there is none.
function editPicture(pair, sample, label) {
  const failure = failuresOf(pair).find(
    (each) => each.stage !== "score" && (each.sample ?? sample.sample) === sample.sample);
  const small = pictureUrl(sample.thumbnail, page.base);
  const full = pictureUrl(sample.full_size, page.base);
  let missing = t("picture.removed");
  if (failure) missing = failureText(failure);
  else if (!sample.sha256) missing = t("picture.not.yet");
  return { label, small, full, size: sample.size, missing, failed: Boolean(failure) };
}

function editPictures(pair) {
  const several = report.samples_per_pair > 1;
  const known = new Map(pair.samples.map((sample) => [sample.sample, sample]));
  return Array.from({ length: report.samples_per_pair }, (_, number) =>
    editPicture(pair, known.get(number) ?? { sample: number }, several ? t("edit.n", { n: number }) : t("edit")));
}

function drawCard(pair) {
  const first = pair.samples[0];
  const id = `pair-${pair.index}`;
  const line = (kind, ...content) => make("p", { class: kind, dir: "auto" }, ...content);
  return make("article", { class: `card ${pair.status}`, "aria-labelledby": id },
    make("div", { class: "pictures" }, [sourcePicture(pair), editPictures(pair)[first?.sample ?? 0]].map((picture) =>
      make("div", { class: "picture" }, pictureOf(picture), make("span", { class: "tag" }, picture.label)))),
    scoreLine(pair.score),
    make("div", { class: "card-head" },
      scoreOrStatus(pair),
      make("h3", { id, class: "name" }, make("bdi", {}, pair.pair_id)),
      make("span", { class: "category" }, make("bdi", {}, pair.category))),
    line("instruction", textOf(pair.instruction)),
    parts.description && line("description", textOf(pair.description)),
    parts.response && line("response", cardResponse(pair)),
    parts.dimensions && line("dimensions", [...dimensions.keys()].map((name) => [name, dimensionOf(pair, name)])
      .filter(([, value]) => isKnown(value)).map(([name, value]) =>
        make("span", { class: name === view.by ? "chosen" : "" },
          make("bdi", {}, name), " ", make("b", {}, scoreText(value))))),
    parts.samples && line("chips", pair.samples.map((sample) => chip(sample))),
    line("facts", cardFacts(pair, first)));
}

function scoreOrStatus(pair) {
  return isKnown(pair.score)
    ? scoreMark(pair.score, "large")
    : make("span", { class: `state ${pair.status}` }, t(`status.${pair.status}`));
}

// For a pair that could not be scored the reason: its message has a response that could not be read.
function cardResponse(pair) {
  const failure = failuresOf(pair).find((each) => each.stage === "score");
  if (failure) return failureText(failure);
  return replyText([...scoresOf(pair), ...answersOf(pair)].find(({ response }) => response));
}

function chip(sample) {
  const passes = sample.scores.map((score) => scoreText(score.score));
  const shown = passes.length > 1 ? `${scoreText(sample.score)} (${passes.join(", ")})` : scoreText(sample.score);
  return make("span", { class: "chip" }, report.samples_per_pair > 1 && make("i", {}, `${sample.sample}`), shown);
}

function cardFacts(pair, sample) {
  const score = sample?.scores?.[0];
  const facts = [
    isKnown(sample?.edit_device_seconds) && `${t("edit.time")} ${secondsText(sample.edit_device_seconds)}`,
    isKnown(score?.batch_device_seconds) && `${t("batch.time")} ${secondsText(score.batch_device_seconds)}`,
    isKnown(sample?.seed) && `${t("seed")} ${sample.seed}`,
    sample?.worker,
  ];
  return facts.filter(Boolean).join(" · ");
}
