// The entry of the table of contents that belongs to what is on the screen.
const tocLinks = new Map([...document.querySelectorAll(".toc a")].map((a) => [a.getAttribute("href").slice(1), a]));
const tocSections = [...tocLinks.keys()].map(byId).filter(Boolean);

function markCurrent() {
  const line = innerHeight * 0.3;
  let current = tocSections[0];
  for (const section of tocSections) if (section.getBoundingClientRect().top <= line) current = section;
  for (const [id, link] of tocLinks) {
    if (current && id === current.id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
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
