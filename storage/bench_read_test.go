package storage_test

import (
	"testing"

	sm "faultd/statemachine"
	"faultd/storage"
)

// filled is a store of 20,000 servers.
func filled(tb testing.TB) (*storage.DB, []sm.Entry) {
	tb.Helper()
	log := jobs(20_000)
	db := open(tb, temp(tb))
	apply(tb, db, log)
	return db, log
}

func BenchmarkResource(b *testing.B) {
	db, log := filled(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % len(log)
		if _, err := db.Resource(log[i].Key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList(b *testing.B) {
	db, _ := filled(b)
	b.ReportAllocs()
	for b.Loop() {
		if page, err := db.List(sm.Query{Limit: 1000}); err != nil || len(page) != 1000 {
			b.Fatal(len(page), err)
		}
	}
}

func BenchmarkFaults(b *testing.B) {
	db, _ := filled(b)
	b.ReportAllocs()
	for b.Loop() {
		if page, err := db.Faults("", nil, 500); err != nil || len(page) != 500 {
			b.Fatal(len(page), err)
		}
	}
}

func BenchmarkHistory(b *testing.B) {
	db, log := filled(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % len(log)
		if _, _, err := db.History(log[i].Key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	path := temp(b)
	db := open(b, path)
	apply(b, db, jobs(20_000))
	_ = db.Close()
	for b.Loop() {
		db, err := storage.Open(storage.Options{Path: path})
		if err != nil {
			b.Fatal(err)
		}
		_ = db.Close()
	}
}
