// Package perduretest has the tests that say whether perdure keeps its promise
// over a driver, a pooler, a server and settings: run [Conformance] in a test of
// your own against what you use.
//
//	func TestConformance(t *testing.T) {
//		perduretest.Conformance(t, perduretest.Setup{
//			URL: os.Getenv("TEST_DATABASE_URL"), // empty: a private server is started
//			New: func(tb testing.TB, url string, m *perdure.Manager) perduretest.Subject {
//				… open the database at url as your program does …
//			},
//		})
//	}
//
// The suite puts a proxy before the server that breaks connections at named
// messages, and looks at the effects through a Subject that goes straight to it.
package perduretest
