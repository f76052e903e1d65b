package statemachine_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// Nothing but Apply, and Derive for a store, gives a resource its status: no other file of the module assigns the
// field, takes its address or makes a resource that has one.
func TestSource_NothingElseAssignsAStatus(t *testing.T) {
	s := source{files: token.NewFileSet(), checked: map[string]*types.Package{}, info: types.Info{Types: map[ast.Expr]types.TypeAndValue{}}}
	assigned := map[string]int{}
	for _, dir := range packageDirs(t) {
		for _, file := range s.parse(t, dir) {
			name := filepath.ToSlash(s.files.Position(file.Pos()).Filename)
			for _, at := range s.assignments(t, "faultd/"+dir, file) {
				assigned[strings.TrimPrefix(name, "../")]++
				if name != "../statemachine/apply.go" && name != "../statemachine/resource.go" {
					t.Errorf("%s gives a resource, or what may be one, a status: that is for Apply alone", s.files.Position(at))
				}
			}
		}
	}
	if assigned["statemachine/apply.go"] == 0 || assigned["statemachine/resource.go"] == 0 {
		t.Errorf("Apply and Derive assign a status, and it was not seen: %v", assigned)
	}
}

// packageDirs are the module's packages, as paths below its root.
func packageDirs(t *testing.T) (dirs []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".."):
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		dir := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(p)), "../")
		if strings.HasSuffix(p, ".go") && (len(dirs) == 0 || dirs[len(dirs)-1] != dir) {
			dirs = append(dirs, dir)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// source reads the module's own packages with their types. What they import from elsewhere is left empty, so that
// nothing has to be compiled; the errors that this makes are not errors.
type source struct {
	files   *token.FileSet
	parsed  map[string][]*ast.File
	checked map[string]*types.Package
	info    types.Info
}

func (s *source) parse(t *testing.T, dir string) []*ast.File {
	t.Helper()
	if files, ok := s.parsed[dir]; ok {
		return files
	}
	entries, err := os.ReadDir(filepath.Join("..", dir))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(s.files, filepath.Join("..", dir, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if s.parsed == nil {
		s.parsed = map[string][]*ast.File{}
	}
	s.parsed[dir] = files
	return files
}

type importer func(path string) (*types.Package, error)

func (i importer) Import(path string) (*types.Package, error) { return i(path) }

// check is the package of that import path, with the types of its expressions if it is the module's.
func (s *source) check(t *testing.T, importPath string) *types.Package {
	t.Helper()
	if p := s.checked[importPath]; p != nil {
		return p
	}
	dir, own := strings.CutPrefix(importPath, "faultd/")
	if !own {
		p := types.NewPackage(importPath, path.Base(importPath))
		p.MarkComplete()
		s.checked[importPath] = p
		return p
	}
	config := types.Config{Error: func(error) {}, Importer: importer(func(p string) (*types.Package, error) { return s.check(t, p), nil })}
	p, _ := config.Check(importPath, s.files, s.parse(t, dir), &s.info)
	s.checked[importPath] = p
	return p
}

// assignments are the places where a file gives a resource, or something of unknown type, a status.
func (s *source) assignments(t *testing.T, importPath string, file *ast.File) (found []token.Pos) {
	t.Helper()
	s.check(t, importPath)
	target := func(e ast.Expr) {
		if sel, ok := ast.Unparen(e).(*ast.SelectorExpr); ok && sel.Sel.Name == "Status" {
			if is, known := s.isResource(sel.X); is || !known {
				found = append(found, sel.Pos())
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				target(e)
			}
		case *ast.IncDecStmt:
			target(n.X)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				target(n.X)
			}
		case *ast.CompositeLit:
			if isResource, known := s.isResource(n); (isResource || !known && n.Type == nil) && setsStatus(n, isResource) {
				found = append(found, n.Pos())
			}
		}
		return true
	})
	return found
}

// isResource tells whether an expression is a resource or a pointer to one, and whether its type is known.
func (s *source) isResource(e ast.Expr) (is, known bool) {
	tv := s.info.Types[e]
	if tv.Type == nil || tv.Type == types.Typ[types.Invalid] {
		return false, false
	}
	typ := tv.Type
	if p, ok := typ.Underlying().(*types.Pointer); ok {
		typ = p.Elem()
	}
	return typ.String() == "faultd/statemachine.Resource", true
}

// setsStatus tells whether a literal gives a value to a field Status; one without names does if it is a resource.
func setsStatus(lit *ast.CompositeLit, isResource bool) bool {
	for _, e := range lit.Elts {
		pair, named := e.(*ast.KeyValueExpr)
		if !named {
			return isResource
		}
		if name, ok := pair.Key.(*ast.Ident); ok && name.Name == "Status" {
			return true
		}
	}
	return false
}
