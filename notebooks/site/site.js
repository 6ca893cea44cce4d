// Paper is white: a page is printed in the light theme, whatever the screen shows.
const root = document.documentElement;
let shown;
addEventListener("beforeprint", () => { shown = root.dataset.theme; root.dataset.theme = "light"; });
addEventListener("afterprint", () => { root.dataset.theme = shown; });
