// A pair of one run in full.

const chosen = { pair: null, sample: 0 };

function describePair(pair, redraw) {
  if (chosen.pair !== pair) {
    chosen.pair = pair;
    chosen.sample = pair.samples[0]?.sample ?? 0;
  }
  const sample = pair.samples.find((each) => each.sample === chosen.sample);
  const all = editPictures(pair);
  const pictures = [sourcePicture(pair), ...(stageChoice.mode === "side" ? all : [all[chosen.sample]])];
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
        textBlock(t("description"), pair.description, "description")),
      (sample?.scores ?? []).map(scoreBlock),
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
  ].filter(Boolean);
  const name = [t("failure"), t(`stage.${failure.stage}`), failure.kind, ...place].join(" · ");
  return textBlock(name, failure.message, "failure");
}

function scoreBlock(score) {
  const shares = sharesOf(score);
  const aspects = Object.entries(score.aspects ?? {});
  const several = report.reward_passes > 1 ? ` · ${t("pass.n", { n: score.pass })}` : "";
  return make("section", { class: "block" },
    make("h3", {}, t("score"), several, " ", scoreMark(score.score)),
    aspects.length > 0 && make("dl", { class: "aspects-list" }, aspects.flatMap(([name, value]) => [
      make("dt", {}, make("bdi", {}, name)), make("dd", {}, scoreLine(value), scoreText(value))])),
    shares && sharesChart(shares),
    make("dl", { class: "texts" }, textBlock(t("response"), score.response, "response")),
    make("dl", { class: "facts" },
      fact(t("method"), score.method),
      fact(t("batch.time"), isKnown(score.batch_device_seconds) ? secondsText(score.batch_device_seconds) : null),
      fact(t("worker"), score.worker)));
}
