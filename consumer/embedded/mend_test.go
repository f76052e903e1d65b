package embedded_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer/embedded"
)

var jobs = jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}}

// during runs a server in the directory while do works with it.
func during(t *testing.T, dir string, do func(jetstream.JetStream)) {
	t.Helper()
	s := start(t, embedded.Config{StoreDir: dir})
	do(dial(t, s.URL()))
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

// A process that ends between the two files that make a stream leaves one that would take messages for one life only.
func TestStart_CompletesStreams(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"no checksum":    os.Remove,
		"empty checksum": func(sum string) error { return os.Truncate(sum, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			during(t, dir, func(js jetstream.JetStream) {
				if _, err := js.CreateStream(t.Context(), jobs); err != nil {
					t.Fatal(err)
				}
			})
			if err := damage(filepath.Join(dir, "jetstream", "$G", "streams", "JOBS", "meta.sum")); err != nil {
				t.Fatal(err)
			}
			during(t, dir, func(js jetstream.JetStream) {
				if _, err := js.CreateOrUpdateStream(t.Context(), jobs); err != nil {
					t.Fatal(err)
				}
				if _, err := js.Publish(t.Context(), "jobs.x", []byte("kept")); err != nil {
					t.Fatal(err)
				}
			})
			during(t, dir, func(js jetstream.JetStream) {
				stream, err := js.Stream(t.Context(), "JOBS")
				if err != nil {
					t.Fatalf("the stream is lost: %v", err)
				}
				if m, err := stream.GetMsg(t.Context(), 1); err != nil || string(m.Data) != "kept" {
					t.Errorf("its message is %v, %v", m, err)
				}
			})
		})
	}
}

// It is the same with consumers, which would forget what was acknowledged to them.
func TestStart_CompletesConsumers(t *testing.T) {
	dir := t.TempDir()
	during(t, dir, func(js jetstream.JetStream) {
		if _, err := js.CreateStream(t.Context(), jobs); err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateConsumer(t.Context(), "JOBS", jetstream.ConsumerConfig{Durable: "alerts", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			t.Fatal(err)
		}
	})
	sum := filepath.Join(dir, "jetstream", "$G", "streams", "JOBS", "obs", "alerts", "meta.sum")
	want, err := os.ReadFile(sum)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(sum); err != nil {
		t.Fatal(err)
	}
	during(t, dir, func(js jetstream.JetStream) {
		if _, err := js.Consumer(t.Context(), "JOBS", "alerts"); err != nil {
			t.Errorf("the consumer is lost: %v", err)
		}
	})
	if is, err := os.ReadFile(sum); err != nil || !bytes.Equal(is, want) {
		t.Errorf("its checksum is %q, %v, where the server's was %q", is, err, want)
	}
}

// What is no stream that was being made is the server's to judge, and stays as it is.
func TestStart_CompletesNothingElse(t *testing.T) {
	for name, c := range map[string]struct{ stream, meta, sum string }{
		"torn":           {"S", `{"name":"S","subj`, ""},
		"empty":          {"S", "", ""},
		"another's":      {"S", `{"name":"T"}`, ""},
		"no JSON":        {"S", "sealed", ""},
		"other checksum": {"S", `{"name":"S"}`, "0123456789abcdef"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			stream := filepath.Join(dir, "jetstream", "$G", "streams", c.stream)
			if err := os.MkdirAll(stream, 0o700); err != nil {
				t.Fatal(err)
			}
			has := map[string]string{"meta.inf": c.meta}
			if c.sum != "" {
				has["meta.sum"] = c.sum
			}
			for file, text := range has {
				if err := os.WriteFile(filepath.Join(stream, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			during(t, dir, func(jetstream.JetStream) {})
			files, err := os.ReadDir(stream)
			if err != nil || len(files) != len(has) {
				t.Fatalf("there are the files %v, %v", files, err)
			}
			for file, want := range has {
				if is, err := os.ReadFile(filepath.Join(stream, file)); err != nil || string(is) != want {
					t.Errorf("%s is %q, %v, and was %q", file, is, err, want)
				}
			}
		})
	}
}

func TestStart_StreamNotCompleted(t *testing.T) {
	dir := t.TempDir()
	stream := filepath.Join(dir, "jetstream", "$G", "streams", "JOBS")
	if err := os.MkdirAll(filepath.Join(stream, "meta.sum.tmp"), 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(stream, "meta.inf"), []byte(`{"name":"JOBS"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := embedded.Start(embedded.Config{StoreDir: dir, Addr: "127.0.0.1:0"})
	if err == nil {
		_ = s.Stop()
		t.Fatal("started, and would lose what the stream takes")
	}
	t.Log(err)
}
