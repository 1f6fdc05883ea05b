// The entry of the table of contents that belongs to what is on the screen.
const tocLinks = new Map([...document.querySelectorAll(".toc a")].map((a) => [a.getAttribute("href").slice(1), a]));
const tocSections = [...tocLinks.keys()].map(byId).filter(Boolean);

const toc = document.querySelector(".toc");
let tocCurrent = null;

function markCurrent() {
  const line = innerHeight * 0.3;
  let current = tocSections[0];
  for (const section of tocSections) if (section.getBoundingClientRect().top <= line) current = section;
  for (const [id, link] of tocLinks) {
    if (current && id === current.id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  if (current === tocCurrent) return;
  tocCurrent = current;
  const link = tocLinks.get(current.id);
  const [a, b] = [toc.getBoundingClientRect(), link.getBoundingClientRect()];
  if (b.left < a.left || b.right > a.right) toc.scrollLeft += b.left - a.left - 16; // in a row on narrow screens
  if (b.top < a.top || b.bottom > a.bottom) toc.scrollTop += b.top - a.top - a.height / 2;
}

let markPending = false;
addEventListener("scroll", () => {
  if (markPending) return;
  markPending = true;
  requestAnimationFrame(() => {
    markPending = false;
    markCurrent();
  });
}, {passive: true});
markCurrent();
