package disk_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"faultd/peers/disk"
)

// life is a file that is made, written twice, renamed, and written again.
var life = []disk.Op{
	{Kind: disk.Create, File: 1, Name: "f.new"},
	{Kind: disk.Write, File: 1, Data: bytes.Repeat([]byte{1}, 1024)},
	{Kind: disk.Sync, File: 1},
	{Kind: disk.Rename, Name: "f.new", To: "f"},
	{Kind: disk.SyncDir},
	{Kind: disk.Write, File: 1, Data: bytes.Repeat([]byte{2}, 1024)},
	{Kind: disk.Truncate, File: 1, Size: 4096},
	{Kind: disk.Sync, File: 1},
}

// images are all different ones that many draws give after some operations, as the files' names and contents.
func images(t *testing.T, ops []disk.Op, at int) map[string]bool {
	t.Helper()
	all, dir := map[string]bool{}, filepath.Join(t.TempDir(), "image")
	for seed := range uint64(300) {
		crash := disk.NewCrash(ops, seed)
		for crash.At < at {
			crash.Next()
		}
		image := crash.Random(rand.New(rand.NewPCG(seed, 0)))
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700), image.Write(dir)); err != nil {
			t.Fatal(err)
		}
		all[look(t, dir)] = true
	}
	return all
}

// look tells of each file the size in sectors and what each begins with.
func look(t *testing.T, dir string) (seen string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		seen += f.Name() + ":"
		for sector := range len(data) / disk.Sector {
			seen += string('0' + data[sector*disk.Sector])
		}
	}
	return seen
}

func TestCrash_WhatMayBeThere(t *testing.T) {
	lost := func(ops []disk.Op, at int) []disk.Op {
		ops = append([]disk.Op(nil), ops...)
		ops[at].Failed = syscall.EIO
		return ops
	}
	for name, c := range map[string]struct {
		ops  []disk.Op
		at   int
		want []string
	}{
		"Nothing":           {life, 0, []string{""}},
		"Unsynced":          {life, 2, []string{"", "f.new:", "f.new:11", "f.new:1", "f.new:01"}},
		"NameIsNotSynced":   {life, 3, []string{"", "f.new:11"}},
		"Renamed":           {life, 4, []string{"", "f.new:11", "f:11"}},
		"Synced":            {life, 5, []string{"f:11"}},
		"Torn":              {life, 6, []string{"f:11", "f:21", "f:12", "f:22"}},
		"Grown":             {life, 7, []string{"f:11", "f:21", "f:12", "f:22", "f:11000000", "f:21000000", "f:12000000", "f:22000000"}},
		"SyncedAgain":       {life, 8, []string{"f:22000000"}},
		"SyncFailed":        {lost(life, 7), 8, []string{"f:11", "f:21", "f:12", "f:22", "f:11000000", "f:21000000", "f:12000000", "f:22000000"}},
		"LaterSyncIsNoHelp": {append(lost(life, 7), disk.Op{Kind: disk.Sync, File: 1}), 9, []string{"f:11000000", "f:22000000"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := images(t, c.ops, c.at)
			for _, want := range c.want {
				if !got[want] {
					t.Errorf("%q was never drawn", want)
				}
				delete(got, want)
			}
			if len(got) > 0 {
				t.Errorf("drawn were also %v", got)
			}
		})
	}
}
