package dashboard_test

import "github.com/chromedp/cdproto/emulation"

// audit looks at a state as people with different eyes and screens do: light and
// dark, on a desk and on a phone.
func (b *tab) audit(state string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		for _, f := range eval[[]string](b, contrastJS) {
			b.t.Errorf("%s, %s: too little contrast: %s", state, scheme, f)
		}
		b.picture(state + "-" + scheme)
	}
	for _, f := range eval[[]string](b, namesJS) {
		b.t.Errorf("%s: no name: %s", state, f)
	}
	b.size(360, 780)
	if wide := eval[int](b, "document.scrollingElement.scrollWidth"); wide > 360 {
		b.t.Errorf("%s: on a phone of 360 px the page is %d px wide: %q", state, wide, eval[[]string](b, wideJS))
	}
	b.whole(state + "-phone")
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	b.size(1440, 1000)
}

// contrastJS computes the contrast of every text, and of every icon, against
// what is behind it, by the formula of WCAG 2.2 (1.4.3, 1.4.11): 4.5 for text, 3
// for large text and icons.
const contrastJS = `(() => {
	const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
	const rgba = (color) => {
		canvas.clearRect(0, 0, 1, 1);
		canvas.fillStyle = color;
		canvas.fillRect(0, 0, 1, 1);
		const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
		return {c: [r, g, b], a: a / 255};
	};
	const over = (top, below) => top.c.map((v, i) => v * top.a + below[i] * (1 - top.a));
	const light = (c) => {
		const [r, g, b] = c.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const contrast = (a, b) => {
		const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
		return (x + 0.05) / (y + 0.05);
	};
	// grounds are the colors that may be behind an element: all stops of a gradient.
	const grounds = (e) => {
		const layers = [];
		for (; e !== null; e = e.parentElement) {
			const s = getComputedStyle(e);
			const stops = s.backgroundImage === "none" ? [] : s.backgroundImage.match(/rgba?\([^)]*\)/g) || [];
			if (stops.length > 0) { layers.push(stops.map(rgba)); break; }
			const c = rgba(s.backgroundColor);
			if (c.a > 0) layers.push([c]);
			if (c.a === 1) break;
		}
		const base = rgba(getComputedStyle(document.documentElement).backgroundColor);
		let found = [over(base, [255, 255, 255])];
		for (const l of layers.reverse()) found = l.flatMap((top) => found.map((f) => over(top, f)));
		return found;
	};
	const faults = new Set();
	const check = (e, least, what) => {
		const ink = rgba(getComputedStyle(e).color);
		for (const g of grounds(e)) {
			const r = contrast(over(ink, g), g);
			if (r < least) faults.add(what + " has " + r.toFixed(2) + ", want " + least);
		}
	};
	let checked = 0;
	for (const e of document.body.querySelectorAll("*")) {
		if (!e.checkVisibility() || e.closest(".unseen, .skip")) continue;
		if (e.matches("svg.ico")) check(e, 3, "icon " + e.getAttribute("class"));
		if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== "")) continue;
		const s = getComputedStyle(e), px = parseFloat(s.fontSize);
		check(e, px >= 24 || px >= 18.66 && s.fontWeight >= 700 ? 3 : 4.5, e.nodeName + "." + e.className + " “" + e.textContent.trim().slice(0, 30) + "”");
		checked++;
	}
	if (checked < 50) faults.add("only " + checked + " texts were looked at");
	return [...faults];
})()`

// namesJS finds what can be reached or seen and has no name.
const namesJS = `[...document.querySelectorAll("a, summary, [tabindex='0'], [role=img], section, aside, nav")]
	.filter((e) => {
		const by = e.getAttribute("aria-labelledby");
		const name = e.getAttribute("aria-label") || (by ? document.getElementById(by)?.textContent : "") ||
			(e.matches("a, summary") ? e.textContent : "");
		return !name || name.trim() === "";
	}).map((e) => e.outerHTML.slice(0, 80))`

// wideJS finds what is wider than the window.
const wideJS = `[...document.querySelectorAll("body *")]
	.filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".unseen, .skip, .scroll"))
	.map((e) => e.nodeName + "." + e.className + " " + Math.round(e.getBoundingClientRect().right)).slice(0, 5)`
