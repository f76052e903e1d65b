package statemachine

// place is where a phrase must stand to tell something; each includes those before it.
type place uint8

const (
	inDetails place = iota
	inMessage
	inReason
)

// phrases finds many phrases in one pass over a text: a tree of words, of which each phrase is a path from the root.
type phrases struct {
	words map[string]uint16 // every word that some phrase has, numbered from 1
	first []uint16          // by word: the node of the phrases that begin with it, 0 for none
	nodes []node            // nodes[0] is none
}

type node struct {
	next []step
	ends []ending
}

type step struct{ word, node uint16 }

type ending struct {
	row        uint8
	at         place
	agentsOnly bool
}

// maxPhrase is how many words a phrase may have.
const maxPhrase = 8

var symptomPhrases = compile(symptoms)

func compile(rows []symptom) *phrases {
	p := &phrases{words: map[string]uint16{}, first: make([]uint16, 1), nodes: make([]node, 1)}
	for i := range rows {
		for at, list := range [][]string{inDetails: rows[i].says, inMessage: rows[i].states, inReason: rows[i].names} {
			for _, phrase := range list {
				p.add(phrase, ending{uint8(i), place(at), !rows[i].is(false)})
			}
		}
	}
	return p
}

func (p *phrases) add(phrase string, e ending) {
	at := uint16(0)
	for w := (words{text: phrase}); w.next(); {
		word := p.words[string(w.word())]
		if word == 0 {
			word = uint16(len(p.first))
			p.words[string(w.word())] = word
			p.first = append(p.first, 0)
		}
		to := p.step(at, word)
		if to == 0 {
			to = uint16(len(p.nodes))
			p.nodes = append(p.nodes, node{})
			if at == 0 {
				p.first[word] = to
			} else {
				p.nodes[at].next = append(p.nodes[at].next, step{word, to})
			}
		}
		at = to
	}
	p.nodes[at].ends = append(p.nodes[at].ends, e)
}

// step is the node to which a word leads from another, or from before all; 0 is none.
func (p *phrases) step(from, word uint16) uint16 {
	if from == 0 {
		return p.first[word]
	}
	for _, s := range p.nodes[from].next {
		if s.word == word {
			return s.node
		}
	}
	return 0
}

// find is the first row of which a phrase stands in the text, or noSymptom.
func (p *phrases) find(text string, at place, agent bool) int {
	row := uint8(noSymptom)
	var begun [maxPhrase + 1]uint16 // the nodes of the phrases that the last words may be the begin of, and then 0
	n := 0
	for w := (words{text: text}); w.next(); {
		word := p.words[string(w.word())]
		if !w.joined || word == 0 {
			n = 0
		}
		if word == 0 {
			continue
		}
		begun[n] = 0 // here a phrase may begin
		m := 0
		for _, from := range begun[:n+1] {
			to := p.step(from, word)
			if to == 0 {
				continue
			}
			begun[m] = to
			m++
			for _, e := range p.nodes[to].ends {
				if e.at <= at && (agent || !e.agentsOnly) {
					row = min(row, e.row)
				}
			}
		}
		n = m
	}
	return int(row)
}

// words walks through the words of a text: runs of ASCII letters and digits, in lower case, cut also where a new
// one begins inside a name. So "No valid host", NO_VALID_HOST and NoValidHost are the same three words.
type words struct {
	text   string
	at     int
	length int      // of the word, which may be longer than what is kept of it
	kept   [16]byte // no word of a phrase is longer
	joined bool     // only a space or the like stands between the word and the one before it
}

// word is the present word, empty for one that is too long to be any that is looked for.
func (w *words) word() []byte {
	if w.length > len(w.kept) {
		return nil
	}
	return w.kept[:w.length]
}

func (w *words) next() bool {
	w.joined = w.length > 0
	for w.at < len(w.text) && !isWord(w.text[w.at]) {
		switch w.text[w.at] {
		case ' ', '\t', '\r', '\n', '_', '-', '\'':
		default:
			w.joined = false
		}
		w.at++
	}
	w.length = 0
	for w.at < len(w.text) && isWord(w.text[w.at]) {
		c := w.text[w.at]
		if w.length > 0 && w.hump() {
			break
		}
		if w.length < len(w.kept) {
			w.kept[w.length] = lower(c)
		}
		w.length++
		w.at++
	}
	return w.length > 0
}

// hump tells whether a new word begins inside a name: fooBar, HTTPError.
func (w *words) hump() bool {
	if !isUpper(w.text[w.at]) {
		return false
	}
	return !isUpper(w.text[w.at-1]) || w.at+1 < len(w.text) && isLower(w.text[w.at+1])
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isWord(c byte) bool  { return isUpper(c) || isLower(c) || isDigit(c) }

func lower(c byte) byte {
	if isUpper(c) {
		return c | 0x20
	}
	return c
}
