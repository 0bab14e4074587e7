// A page of cards: what stands above them, the controls, the cards, the detail view, and what the address says.

const items = data.items;

// `settings`: title(); drawCard(item); describe(item, redraw) and picturesOf(item), see detail.js; rules, see view.js;
// fields(), see bar.js; before(page), the sections above the gallery; and where they are not the usual ones narrowest
// (width of a card), ratio (of its pictures) and redrawOn (the part of the view that changes what cards show).
function startPage(settings) {
  chooseLanguage();
  chooseTheme();
  readView();
  const { rules } = settings;
  const grid = createGrid(settings.drawCard, (index) => detail.open(index), settings.narrowest);
  const detail = createDetail(grid, settings.describe, settings.picturesOf);
  const empty = make("p", { class: "empty", hidden: true });
  const page = { find, showOnly, openPair };
  let tools = null;
  let shownFor = null;
  if (settings.ratio) grid.holder.style.setProperty("--picture", settings.ratio.toFixed(3));

  function find(redrawTools) {
    if (redrawTools || (settings.redrawOn && shownFor !== view[settings.redrawOn])) drawTools();
    const found = chosenItems(items, rules);
    grid.set(found);
    empty.hidden = found.length > 0;
    tools.tell(found.length, items.length);
  }

  function drawTools() {
    const focused = document.activeElement?.id;
    const next = toolBar(settings.fields(), find);
    tools?.bar.replaceWith(next.bar);
    tools = next;
    shownFor = view[settings.redrawOn];
    if (focused?.startsWith("view-")) document.getElementById(focused)?.focus();
  }

  function showOnly(changes) {
    Object.assign(view, { ...PLAIN, sort: view.sort, other: view.other, ...changes });
    writeView();
    find(true);
    document.querySelector(".gallery").scrollIntoView();
  }

  // The pair, whatever the view is; one that the view leaves out is shown among all.
  function openPair(pair) {
    const place = () => Array.from({ length: grid.count() }, (_, i) => i).find((i) => grid.item(i) === pair) ?? -1;
    if (place() < 0) showOnly({});
    detail.open(place());
  }

  function openNamedPair() {
    const pair = view.pair && items.find((one) => `${head.categories[one.category].name}/${one.id}` === view.pair);
    if (pair) openPair(pair);
  }

  function draw() {
    const old = document.querySelector("main");
    const open = [...(old?.querySelectorAll("details[open]") ?? [])].map((node) => node.id).filter(Boolean);
    document.title = settings.title();
    drawTools();
    empty.textContent = t("nothing.found");
    const main = make("main", {},
      topBar(draw),
      settings.before(page),
      make("section", { class: "gallery", "aria-label": t("gallery") },
        make("h2", {}, t("gallery")), tools.bar, grid.holder, empty,
        make("p", { class: "print-note" }, t("print.note", { n: GRID.mostPrinted }))),
      make("footer", { class: "quiet" }, t("footer", { limit: whole(head.text_limit) })));
    for (const node of main.querySelectorAll("details")) if (node.id && open.includes(node.id)) node.open = true;
    if (old) old.replaceWith(main);
    else document.body.append(main, detail.dialog);
    find();
    if (detail.isOpen()) detail.redraw();
  }

  draw();
  listenForKeys(grid);
  foldAhead(items, rules.texts);
  openNamedPair();
  addEventListener("hashchange", () => {
    readView();
    find(true);
    if (!view.pair) detail.close();
    openNamedPair();
  });
  document.documentElement.dataset.ready = "true";
}
