package flights

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const header = "departure,delay_minutes,distance_miles,origin,destination\n"

func parse(t *testing.T, content string) (*Data, error) {
	t.Helper()
	return Read("test.csv", strings.NewReader(content))
}

func TestTheEmbeddedDataIsWhole(t *testing.T) {
	d, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Flights) != 20_000 || len(d.Airports) != 3_376 || len(d.Rejects) != 0 {
		t.Errorf("%d flights, %d airports, %d rejects, want 20000, 3376, 0", len(d.Flights), len(d.Airports), len(d.Rejects))
	}
	if got := d.Split().Format("2006-01-02"); got != "2001-03-01" {
		t.Errorf("Split = %s, want 2001-03-01", got)
	}
	late := 0
	for _, f := range d.Flights {
		if f.Delay > 15 {
			late++
		}
	}
	if got := fmt.Sprintf("%.1f", 100*float64(late)/20_000); got != "21.7" {
		t.Errorf("%s %% are late, want 21.7", got)
	}
}

func TestALineThatIsNoFlightIsRejectedWithItsReason(t *testing.T) {
	for name, c := range map[string]struct{ line, want string }{
		"too few columns":       {"2001-01-01 00:47,66,1750,DTW", "wrong column count: 4, want 5"},
		"too many columns":      {"2001-01-01 00:47,66,1750,DTW,LAS,", "wrong column count: 6, want 5"},
		"unknown origin":        {"2001-01-01 00:47,66,1750,D2W,LAS", `unknown airport: "D2W"`},
		"unknown destination":   {"2001-01-01 00:47,66,1750,DTW,las", `unknown airport: "las"`},
		"no such day":           {"2001-02-29 00:47,66,1750,DTW,LAS", `impossible date: "2001-02-29 00:47"`},
		"no such minute":        {"2001-01-01 00:60,66,1750,DTW,LAS", `impossible date: "2001-01-01 00:60"`},
		"year zero":             {"0000-01-01 00:00,66,1750,DTW,LAS", `impossible date: "0000-01-01 00:00"`},
		"a word for the delay":  {"2001-01-01 00:47,late,1750,DTW,LAS", `non-numeric delay: "late"`},
		"no delay":              {"2001-01-01 00:47,,1750,DTW,LAS", `non-numeric delay: ""`},
		"half a minute":         {"2001-01-01 00:47,1.5,1750,DTW,LAS", `non-numeric delay: "1.5"`},
		"a delay of ages":       {"2001-01-01 00:47,99999999999,1750,DTW,LAS", `non-numeric delay: "99999999999"`},
		"a negative distance":   {"2001-01-01 00:47,66,-1,DTW,LAS", `non-numeric distance: "-1"`},
		"an open quote":         {`2001-01-01 00:47,66,1750,"DTW,LAS`, "column 4: quote that is never closed"},
		"text behind a quote":   {`2001-01-01 00:47,66,1750,"DTW"x,LAS`, "column 4: text after the closing quote"},
		"a quote in the middle": {`2001-01-01 00:47,66,1750,D"TW,LAS`, "column 4: quote inside a field without quotes"},
		"NUL":                   {"2001-01-01 00:47,66,1750,DTW\x00,LAS", "NUL byte"},
		"not UTF-8":             {"2001-01-01 00:47,66,1750,DTW\xff,LAS", "not UTF-8"},
		"nothing":               {"", "empty line"},
		"spaces":                {" \t ", "empty line"},
		"a huge line":           {strings.Repeat("x", 300_000), "line of 300001 bytes, the most is 4096"},
	} {
		t.Run(name, func(t *testing.T) {
			good := "2001-01-01 00:47,66,1750,DTW,LAS\n"
			d, err := parse(t, header+good+c.line+"\n"+good)
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Flights) != 2 || d.Flights[0].Line != 2 || d.Flights[1].Line != 4 {
				t.Errorf("flights = %v, want those of lines 2 and 4", d.Flights)
			}
			if len(d.Rejects) != 1 || d.Rejects[0].Line != 3 || d.Rejects[0].Reason != c.want {
				t.Fatalf("rejects = %.300v, want line 3: %s", d.Rejects, c.want)
			}
			if text := d.Rejects[0].Text; strings.ContainsRune(text, 0) || !utf8.ValidString(text) || len(text) > 210 {
				t.Errorf("text %.300q cannot be stored", text)
			}
		})
	}
}

func TestTheSameFlightHoweverItIsWritten(t *testing.T) {
	want, err := parse(t, header+"2001-01-01 00:47,-5,1750,DTW,LAS\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"byte order mark":          "\xEF\xBB\xBF" + header + "2001-01-01 00:47,-5,1750,DTW,LAS\n",
		"CRLF":                     strings.ReplaceAll(header+"2001-01-01 00:47,-5,1750,DTW,LAS\n", "\n", "\r\n"),
		"no newline at the end":    header + "2001-01-01 00:47,-5,1750,DTW,LAS",
		"quotes":                   header + `"2001-01-01 00:47","-5",1750,"DTW","LAS"` + "\n",
		"quotes in the header":     `"departure","delay_minutes","distance_miles","origin","destination"` + "\n2001-01-01 00:47,-5,1750,DTW,LAS\n",
		"spaces around the fields": header + " 2001-01-01 00:47 , -5 , 1750 , \"DTW\" ,LAS \n",
		"capitals in the header":   strings.ToUpper(header) + "2001-01-01 00:47,-5,1750,DTW,LAS\n",
	} {
		t.Run(name, func(t *testing.T) {
			d, err := parse(t, content)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.Flights, d.Flights); diff != "" || len(d.Rejects) != 0 {
				t.Errorf("rejects %v, flights (-want +got):\n%s", d.Rejects, diff)
			}
		})
	}
}

func TestRowsThatAreEqualAreBothKept(t *testing.T) {
	d, err := parse(t, header+strings.Repeat("2001-01-01 00:47,-5,1750,DTW,LAS\n", 3))
	if err != nil || len(d.Flights) != 3 {
		t.Errorf("%v, %v, want three flights", d, err)
	}
}

func TestAFileWithoutTheHeaderIsAnError(t *testing.T) {
	for name, c := range map[string]struct{ content, why string }{
		"empty":         {"", "the file is empty"},
		"a flight":      {"2001-01-01 00:47,66,1750,DTW,LAS\n", `the first line is "2001-01-01 00:47,66,1750,DTW,LAS"`},
		"other columns": {"a,b\n1,2\n", `the first line is "a,b"`},
		"UTF-16":        {"\xff\xfed\x00e\x00", "the first line is no header (NUL byte)"},
		"blank":         {"\n" + header, "the first line is no header (empty line)"},
		"binary":        {"\x7fELF\xff\xff", "the first line is no header (not UTF-8)"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, c.content)
			e, ok := errors.AsType[*FormatError](err)
			if !ok || e.Why != c.why || e.File != "test.csv" || !strings.Contains(err.Error(), strings.TrimSpace(header)) {
				t.Errorf("error = %v, want %s", err, c.why)
			}
		})
	}
}

// FuzzParseFlights checks that no line is lost, whatever the bytes.
func FuzzParseFlights(f *testing.F) {
	for _, seed := range []string{
		"2001-01-01 00:47,66,1750,DTW,LAS\n", "\"", "\"\"\"\",,,,", "a\x00b\n\n\r\n", "\xff", strings.Repeat("y", 5000) + "\nz",
		"2001-01-01 00:47,66,1750,\"DTW\" ,LAS\r\n", "\r", ",\n,",
	} {
		f.Add([]byte(seed))
	}
	airports := []Airport{{IATA: "DTW"}, {IATA: "LAS"}}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := ParseFlights("fuzz", bytes.NewReader(append([]byte(header), body...)), airports)
		if err != nil {
			t.Fatalf("ParseFlights = %v: nothing after the header is an error", err)
		}
		want := bytes.Count(body, []byte("\n"))
		if len(body) > 0 && body[len(body)-1] != '\n' {
			want++
		}
		if got := len(d.Flights) + len(d.Rejects); got != want {
			t.Fatalf("%d flights and rejects of %d lines", got, want)
		}
		seen := make(map[int]bool)
		for _, r := range d.Rejects {
			if seen[r.Line] || r.Reason == "" || !utf8.ValidString(r.Reason) || strings.ContainsRune(r.Reason, 0) ||
				!utf8.ValidString(r.Text) || strings.ContainsRune(r.Text, 0) {
				t.Fatalf("reject %+v", r)
			}
			seen[r.Line] = true
		}
		for _, fl := range d.Flights {
			if seen[fl.Line] || fl.Line < 2 || fl.Line > want+1 {
				t.Fatalf("flight %+v", fl)
			}
			seen[fl.Line] = true
		}
	})
}
