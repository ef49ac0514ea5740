// Says which files of a tree moby's own matcher leaves in: a list of cases in, a list of lists of paths out, as JSON.
package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
)

// Case is the cleaned lines of an ignore file, and the files that a folder holds.
type Case struct {
	Patterns []string
	Files    []string
}

func main() {
	var cases []Case
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	answers := [][]string{}
	for _, c := range cases {
		pm, err := patternmatcher.New(c.Patterns)
		if err != nil {
			answers = append(answers, []string{"ERROR " + err.Error()})
			continue
		}
		infos := map[string]patternmatcher.MatchInfo{}
		var look func(path string) (bool, patternmatcher.MatchInfo)
		look = func(path string) (bool, patternmatcher.MatchInfo) {
			var parent patternmatcher.MatchInfo
			if dir := filepath.Dir(path); dir != "." {
				if known, ok := infos[dir]; ok {
					parent = known
				} else {
					_, parent = look(dir)
					infos[dir] = parent
				}
			}
			m, info, err := pm.MatchesUsingParentResults(path, parent)
			if err != nil {
				panic(err)
			}
			return m, info
		}
		sent := []string{}
		for _, f := range c.Files {
			if m, _ := look(strings.TrimPrefix(f, "/")); !m {
				sent = append(sent, f)
			}
		}
		answers = append(answers, sent)
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}
