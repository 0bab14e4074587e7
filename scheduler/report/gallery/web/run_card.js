// A pair of one run as a card: both pictures, the score, the texts. Every part has its place even if it is empty,
// since all cards are equally high.

const pairs = data.items;

const samplesOf = (pair) => pair.samples ?? [];
const scoresOf = (pair) => samplesOf(pair).flatMap((sample) => sample.scores ?? []);
const repliesOf = (pair) => scoresOf(pair).map((score) => score.reply).filter(Boolean);

// Which parts this run's cards have.
const parts = {
  description: pairs.some((pair) => pair.description),
  reply: pairs.some((pair) => repliesOf(pair).length),
  aspects: pairs.some((pair) => scoresOf(pair).some((score) => score.aspects)),
  samples: head.asked.samples > 1 || head.asked.passes > 1,
};

// Kept, since sorting ten thousand pairs asks for it a quarter of a million times.
function editSeconds(pair) {
  if (pair.editSeconds === undefined) {
    const seconds = samplesOf(pair).map((sample) => sample.seconds).filter((value) => value !== undefined);
    pair.editSeconds = seconds.length ? seconds.reduce((sum, value) => sum + value, 0) : null;
  }
  return pair.editSeconds;
}

// How far apart the scores of one pair are, over all samples and passes.
function spread(pair) {
  const scores = scoresOf(pair).map((score) => score.score);
  return scores.length > 1 ? Math.max(...scores) - Math.min(...scores) : null;
}

function failureText(failure) {
  return `${failure.kind}: ${textOf(failure.message)}`;
}

function sourcePicture(pair) {
  return { label: t("source"), small: pictureUrl(pair.source, head.base), full: null, missing: t("picture.none") };
}

// The picture of one sample's edit, or why there is none.
function editPicture(pair, sample, label = t("edit")) {
  const failure = (pair.failures ?? []).find(
    (one) => one.stage !== "score" && (one.sample ?? sample?.sample ?? 0) === (sample?.sample ?? 0));
  const small = pictureUrl(sample?.thumbnail, head.base);
  const full = pictureUrl(sample?.full, head.base);
  let missing = t("picture.removed");
  if (failure) missing = failureText(failure);
  else if (!sample?.sha256) missing = t("picture.not.yet");
  return { label, small, full, size: sample?.size, missing, failed: Boolean(failure) };
}

function editPictures(pair) {
  const several = head.asked.samples > 1;
  const known = new Map(samplesOf(pair).map((sample) => [sample.sample, sample]));
  return Array.from({ length: head.asked.samples }, (_, number) =>
    editPicture(pair, known.get(number) ?? { sample: number }, several ? t("edit.n", { n: number }) : t("edit")));
}

function aspectMeans(scores) {
  const found = new Map();
  for (const score of scores) {
    for (const [name, value] of Object.entries(score.aspects ?? {})) {
      if (value !== null) found.set(name, [...(found.get(name) ?? []), value]);
    }
  }
  return [...found].map(([name, values]) => [name, values.reduce((sum, value) => sum + value, 0) / values.length]);
}

function drawCard(pair) {
  const name = head.categories[pair.category].name;
  const first = samplesOf(pair)[0];
  const id = `pair-${pair.index}`;
  const line = (kind, ...content) => make("p", { class: kind, dir: "auto" }, ...content);
  return make("article", { class: `card ${pair.status}`, "aria-labelledby": id },
    make("div", { class: "pictures" }, [sourcePicture(pair), editPictures(pair)[first?.sample ?? 0]].map((picture) =>
      make("div", { class: "picture" }, pictureOf(picture), make("span", { class: "tag" }, picture.label)))),
    scoreLine(pair.score),
    make("div", { class: "card-head" },
      pair.score === undefined
        ? make("span", { class: `state ${pair.status}` }, t(`status.${pair.status}`))
        : scoreMark(pair.score, "large"),
      make("h3", { id, class: "name" }, make("bdi", {}, pair.id)),
      make("span", { class: "category" }, make("bdi", {}, name))),
    line("instruction", textOf(pair.instruction)),
    parts.description && line("description", textOf(pair.description)),
    parts.reply && line("reply", cardReply(pair)),
    parts.aspects && line("aspects", aspectMeans(scoresOf(pair)).map(([aspect, value]) =>
      make("span", {}, make("bdi", {}, aspect), " ", make("b", {}, scoreText(value))))),
    parts.samples && line("chips", samplesOf(pair).map((sample) => chip(sample))),
    line("facts", cardFacts(pair, first)));
}

// What a reward that was not asked for words gave to each number of the scale; null for one that answered in words.
function sharesOf(score) {
  if (score.method !== "logits" || typeof score.reply !== "string") return null;
  try {
    const shares = Object.entries(JSON.parse(score.reply).numbers).map((pair) => pair.map(Number));
    return shares.length && shares.flat().every(Number.isFinite) ? shares.sort(([a], [b]) => a - b) : null;
  } catch {
    return null;
  }
}

function likeliest(shares) {
  const first = [...shares].sort(([, a], [, b]) => b - a).slice(0, 5);
  return first.map(([number, share]) => `${number}: ${Math.round(100 * share)}%`).join(" · ");
}

// Of a pair without a score, why: a reply that could not be read is in the message.
function cardReply(pair) {
  const failure = (pair.failures ?? []).find((one) => one.stage === "score");
  if (failure) return failureText(failure);
  const shares = scoresOf(pair).map(sharesOf).find(Boolean);
  return shares ? likeliest(shares) : textOf(repliesOf(pair)[0]);
}

function chip(sample) {
  const passes = (sample.scores ?? []).map((score) => scoreText(score.score));
  const shown = passes.length > 1 ? `${scoreText(sample.score)} (${passes.join(", ")})` : scoreText(sample.score);
  return make("span", { class: "chip" }, head.asked.samples > 1 && make("i", {}, `${sample.sample}`), shown);
}

function cardFacts(pair, sample) {
  const score = sample?.scores?.[0];
  const facts = [
    sample?.seconds !== undefined && `${t("edit.time")} ${secondsText(sample.seconds)}`,
    score?.seconds !== undefined && `${t("batch.time")} ${secondsText(score.seconds)}`,
    sample?.seed !== undefined && `${t("seed")} ${sample.seed}`,
    sample?.worker,
  ];
  return facts.filter(Boolean).join(" · ");
}
