// A pair of one run in full.

const chosen = { pair: null, sample: 0 };

function describePair(pair, redraw) {
  if (chosen.pair !== pair) {
    chosen.pair = pair;
    chosen.sample = samplesOf(pair)[0]?.sample ?? 0;
  }
  const group = head.categories[pair.category];
  const sample = samplesOf(pair).find((one) => one.sample === chosen.sample);
  const all = editPictures(pair);
  const pictures = [sourcePicture(pair), ...(stageChoice.mode === "side" ? all : [all[chosen.sample]])];
  const choose = (number) => {
    if (number < 0 || number >= head.asked.samples) return;
    chosen.sample = number;
    redraw(`[data-sample="${number}"]`);
  };
  return {
    key: `${group.name}/${pair.id}`,
    heading: [
      make("bdi", { class: "name" }, pair.id), " ",
      make("bdi", { class: "category" }, group.name), " ",
      pair.score === undefined
        ? make("span", { class: `state ${pair.status}` }, t(`status.${pair.status}`))
        : scoreMark(pair.score, "large"),
    ],
    pictures,
    body: [
      head.asked.samples > 1 && sampleButtons(pair, choose),
      make("dl", { class: "texts" },
        (pair.failures ?? []).flatMap((failure) => failureBlock(failure)),
        textBlock(t("instruction"), pair.instruction, "instruction"),
        textBlock(t("description"), pair.description, "description")),
      (sample?.scores ?? []).map((score) => scoreBlock(score)),
      sample?.sha256 && make("section", { class: "block" },
        make("h3", {}, t("edit")),
        make("dl", { class: "facts" },
          fact(t("device.time"), sample.seconds === undefined ? null : secondsText(sample.seconds)),
          fact(t("seed"), sample.seed),
          fact(t("size"), sample.size?.join(" × ")),
          fact(t("worker"), [sample.worker, sample.device].filter(Boolean).join(", ")),
          fact(t("round"), sample.round === undefined ? null : String(sample.round + 1)),
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
  const known = new Map(samplesOf(pair).map((sample) => [sample.sample, sample]));
  return make("div", { class: "segments", role: "group", "aria-label": t("samples") },
    Array.from({ length: head.asked.samples }, (_, number) => make("button", {
      type: "button", class: "segment", "data-sample": number, "aria-pressed": String(number === chosen.sample),
      on: { click: () => choose(number) },
    }, `${t("edit.n", { n: number })}  `, make("b", {}, scoreText(known.get(number)?.score)))));
}

function failureBlock(failure) {
  const place = [
    failure.sample !== undefined && head.asked.samples > 1 && t("edit.n", { n: failure.sample }),
    failure.pass !== undefined && head.asked.passes > 1 && t("pass.n", { n: failure.pass }),
  ].filter(Boolean);
  const name = [t("failure"), t(`stage.${failure.stage}`), failure.kind, ...place].join(" · ");
  return textBlock(name, failure.message ?? "", "failure");
}

function scoreBlock(score) {
  const shares = sharesOf(score);
  const aspects = Object.entries(score.aspects ?? {});
  const several = head.asked.passes > 1 ? ` · ${t("pass.n", { n: score.pass })}` : "";
  return make("section", { class: "block" },
    make("h3", {}, t("score"), several, " ", scoreMark(score.score)),
    aspects.length > 0 && make("dl", { class: "aspects-list" }, aspects.flatMap(([name, value]) => [
      make("dt", {}, make("bdi", {}, name)), make("dd", {}, scoreLine(value), scoreText(value))])),
    shares && sharesChart(shares),
    make("dl", { class: "texts" }, textBlock(t("reply"), score.reply, "reply")),
    make("dl", { class: "facts" },
      fact(t("method"), score.method),
      fact(t("batch.time"), score.seconds === undefined ? null : secondsText(score.seconds)),
      fact(t("worker"), score.worker)));
}
