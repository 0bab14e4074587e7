// A page of cards: the sections above them, the controls, the cards, the detail view, and the view in the URL.

// `settings`: title(); drawCard(pair); describe(pair, redraw) and picturesOf(pair), see detail.js; rules, see view.js;
// fields(), see bar.js; before(actions), the sections above the gallery. Optional: narrowest() (width of a card), ratio
// (of its pictures), redrawOn (the parts of the view that change the content of cards), below() (what stays at the
// bottom of the window while there are cards), onKey(event), see bar.js.
function startPage(settings) {
  chooseLanguage();
  chooseTheme();
  readView();
  const { rules } = settings;
  const grid = createGrid(settings.drawCard, (index) => detail.open(index), settings.narrowest);
  const detail = createDetail(grid, settings.describe, settings.picturesOf);
  const empty = make("p", { class: "empty", hidden: true });
  const actions = { showOnly, openPair };
  let tools = null;
  const decisive = () => (settings.redrawOn ?? []).map((name) => view[name]).join("\n");
  let shownFor = null;
  if (settings.ratio) document.documentElement.style.setProperty("--picture", settings.ratio.toFixed(3));

  function update(redrawTools) {
    if (redrawTools || shownFor !== decisive()) drawTools();
    const chosen = chosenPairs(rules);
    grid.set(chosen);
    empty.hidden = chosen.length > 0;
    tools.showCount(chosen.length);
  }

  function drawTools() {
    const focused = document.activeElement?.id;
    const next = toolBar(settings.fields(), update);
    tools?.bar.replaceWith(next.bar);
    tools = next;
    shownFor = decisive();
    if (focused?.startsWith("view-")) document.getElementById(focused)?.focus();
  }

  function showOnly(changes) {
    Object.assign(view, { ...withoutFilters(), ...changes });
    writeView();
    update(true);
    document.querySelector(".gallery").scrollIntoView();
  }

  // Opens a pair; if the view does not have it, the view becomes that of all pairs.
  function openPair(pair) {
    const place = () => Array.from({ length: grid.count() }, (_, i) => i).find((i) => grid.item(i) === pair) ?? -1;
    if (place() < 0) showOnly({});
    detail.open(place());
  }

  function openNamedPair() {
    const pair = view.pair && pairs.find((each) => pairKey(each) === view.pair);
    if (pair) openPair(pair);
  }

  function draw() {
    const old = document.querySelector("main");
    const open = [...(old?.querySelectorAll("details[open]") ?? [])].map((node) => node.id).filter(Boolean);
    document.title = shown(settings.title());
    drawTools();
    empty.textContent = t("no.matches");
    const main = make("main", {},
      topBar(draw),
      settings.before(actions),
      make("section", { class: "gallery", "aria-label": t("gallery") },
        make("h2", {}, t("gallery")), tools.bar, grid.holder, empty, settings.below?.(),
        make("p", { class: "print-note" }, t("print.note", { n: GRID.mostPrinted }))),
      make("footer", { class: "quiet" }, t("footer", { limit: whole(page.text_limit) })));
    for (const node of main.querySelectorAll("details")) if (node.id && open.includes(node.id)) node.open = true;
    if (old) old.replaceWith(main);
    else document.body.append(main, detail.dialog);
    update();
    if (detail.isOpen()) detail.redraw();
  }

  draw();
  listenForKeys(grid, settings.onKey);
  foldAhead(rules.texts);
  openNamedPair();
  addEventListener("hashchange", () => {
    readView();
    update(true);
    if (!view.pair) detail.close();
    openNamedPair();
  });
  document.documentElement.dataset.ready = "true";
}
