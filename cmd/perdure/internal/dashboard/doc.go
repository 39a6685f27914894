// Package dashboard shows on one page what Managers do, for an engineer who has
// never seen perdure: is it all right, since when not, why, and what happens
// next.
//
// A [View] is built from what package observe knows, by [Build], and written as
// HTML by [View.Render]; both are pure. [New] is the http.Handler. The page needs
// no JavaScript: with it, it renews itself each second and loses neither
// scroll, focus nor selection.
//
// The page holds no token and changes nothing: it shows the command that does
// (perdure breakers). Whoever can read it can do nothing with it.
package dashboard
