// A pair of one run in full.

const chosen = { pair: null, sample: 0 };

function describePair(pair, redraw) {
  if (chosen.pair !== pair) {
    chosen.pair = pair;
    chosen.sample = pair.samples[0]?.sample ?? 0;
  }
  const sample = pair.samples.find((each) => each.sample === chosen.sample);
  const all = editPictures(pair);
  const pictures = [
    sourcePicture(pair), ...(stageChoice.mode === "side" ? all : [all[chosen.sample]]), ...furtherPictures(pair, page.base),
  ];
  const choose = (number) => {
    if (number < 0 || number >= report.samples_per_pair) return;
    chosen.sample = number;
    redraw(`[data-sample="${number}"]`);
  };
  return {
    key: pairKey(pair),
    heading: [
      make("bdi", { class: "name" }, pair.pair_id), " ",
      make("bdi", { class: "category" }, pair.category), " ",
      scoreOrStatus(pair),
    ],
    pictures,
    body: [
      report.samples_per_pair > 1 && sampleButtons(pair, choose),
      make("dl", { class: "texts" },
        failuresOf(pair).flatMap(failureBlock),
        textBlock(t("instruction"), pair.instruction, "instruction"),
        textBlock(t("description"), pair.description, "description"),
        textBlock(t("reference.text"), pair.reference, "description")),
      (pair.task || pair.language || pair.subsets) && make("dl", { class: "facts" },
        fact(t("task"), pair.task), fact(t("instruction.language"), pair.language),
        fact(t("subsets"), pair.subsets?.join(", "))),
      sample && judgementBlocks(sample),
      sample?.sha256 && make("section", { class: "block" },
        make("h3", {}, t("edit")),
        make("dl", { class: "facts" },
          fact(t("device.time"), isKnown(sample.edit_device_seconds) ? secondsText(sample.edit_device_seconds) : null),
          fact(t("seed"), sample.seed),
          fact(t("size"), sample.size?.join(" × ")),
          fact(t("worker"), [sample.worker, sample.device].filter(Boolean).join(", ")),
          fact(t("round"), isKnown(sample.round) ? String(sample.round + 1) : null),
          fact("SHA-256", make("code", {}, sample.sha256)))),
    ].flat(Infinity).filter(Boolean),
    onKey(event) {
      if (event.key !== "[" && event.key !== "]") return false;
      choose(chosen.sample + (event.key === "]" ? 1 : -1));
      return true;
    },
  };
}

function sampleButtons(pair, choose) {
  const known = new Map(pair.samples.map((sample) => [sample.sample, sample]));
  return make("div", { class: "segments", role: "group", "aria-label": t("samples") },
    Array.from({ length: report.samples_per_pair }, (_, number) => make("button", {
      type: "button", class: "segment", "data-sample": number, "aria-pressed": String(number === chosen.sample),
      on: { click: () => choose(number) },
    }, `${t("edit.n", { n: number })}  `, make("b", {}, scoreText(known.get(number)?.score)))));
}

function failureBlock(failure) {
  const place = [
    isKnown(failure.sample) && report.samples_per_pair > 1 && t("edit.n", { n: failure.sample }),
    isKnown(failure.pass) && report.reward_passes > 1 && t("pass.n", { n: failure.pass }),
    failure.question && t("question.n", { name: failure.question }),
  ].filter(Boolean);
  const name = [t("failure"), t(`stage.${failure.stage}`), failure.kind, ...place].join(" · ");
  return textBlock(name, failure.message, "failure");
}

// The scores of a sample, each before the answers that it was made of. A pass without a score may have answers too.
function judgementBlocks(sample) {
  const passes = new Set([...sample.scores, ...sample.answers].map((each) => each.pass));
  return [...passes].sort((first, second) => first - second).map((number) => [
    sample.scores.filter((score) => score.pass === number).map(scoreBlock),
    sample.answers.filter((answer) => answer.pass === number).map(answerBlock),
  ]);
}

const passText = ({ pass }) => (report.reward_passes > 1 ? ` · ${t("pass.n", { n: pass })}` : "");

function answerBlock(answer) {
  const seconds = answer.batch_device_seconds;
  return make("section", { class: "block" },
    make("h3", {}, t("question.n", { name: answer.question }), passText(answer)),
    dimensionsList(answer.dimensions),
    make("dl", { class: "texts" }, textBlock(t("response"), answer.response, "response")),
    make("dl", { class: "facts" },
      fact(t("answered.by"), answer.usage?.model),
      fact(t("batch.time"), isKnown(seconds) ? secondsText(seconds) : null),
      fact(t("worker"), answer.worker)));
}

function scoreBlock(score) {
  const shares = sharesOf(score);
  return make("section", { class: "block" },
    make("h3", {}, t("score"), passText(score), " ", scoreMark(score.score)),
    dimensionsList(score.dimensions),
    shares && sharesChart(shares),
    make("dl", { class: "texts" }, textBlock(t("response"), score.response, "response")),
    make("dl", { class: "facts" },
      fact(t("method"), score.method),
      fact(t("batch.time"), isKnown(score.batch_device_seconds) ? secondsText(score.batch_device_seconds) : null),
      fact(t("worker"), score.worker)));
}
