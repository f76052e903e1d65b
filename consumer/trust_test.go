package consumer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"faultd/consumer"
)

// guarded is a bench whose server asks who is there.
type guarded struct {
	*bench
	nats *server.Server
	opts server.Options
}

// newGuarded starts a server that knows an administrator, and faultd by its password.
func newGuarded(t testing.TB) *guarded {
	t.Helper()
	g := &guarded{bench: &bench{TB: t}, opts: server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true,
		StoreDir: t.TempDir(), NoSigs: true, NoLog: true, Users: users("secret")}}
	g.begin(nats.UserInfo("admin", "admin"))
	return g
}

// users are those that the server knows; faultd may not publish to what is denied.
func users(password string, denied ...string) []*server.User {
	faultd := &server.User{Username: "faultd", Password: password}
	if denied != nil {
		faultd.Permissions = &server.Permissions{Publish: &server.SubjectPermission{Deny: denied}}
	}
	return []*server.User{{Username: "admin", Password: "admin"}, faultd}
}

func (g *guarded) begin(admin nats.Option) {
	g.Helper()
	s, err := server.NewServer(g.opts.Clone())
	if err != nil {
		g.Fatal(err)
	}
	s.Start()
	g.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		g.Fatal("the server does not start")
	}
	g.nats = s
	nc, err := nats.Connect(s.ClientURL(), admin)
	if err != nil {
		g.Fatal(err)
	}
	g.Cleanup(nc.Close)
	if g.js, err = jetstream.New(nc); err != nil {
		g.Fatal(err)
	}
	g.makeStream()
}

// reload has the server know these users from now on.
func (g *guarded) reload(users []*server.User) {
	g.Helper()
	g.opts.Users = users
	if err := g.nats.ReloadOptions(g.opts.Clone()); err != nil {
		g.Fatal(err)
	}
}

func (g *guarded) follow(store *recorder, opts ...nats.Option) *running {
	g.Helper()
	return g.runAt(g.nats.ClientURL(), store, func(c *consumer.Config) { c.Options = opts })
}

// awaitReason waits until the state is DISCONNECTED for a reason that has all these words.
func (r *running) awaitReason(words ...string) {
	r.Helper()
	var s consumer.Status
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s = r.Status()
		found := s.State == consumer.Disconnected
		for _, word := range words {
			found = found && strings.Contains(strings.ToLower(strings.Join(s.Reasons, "")), strings.ToLower(word))
		}
		if found {
			return
		}
	}
	r.Fatalf("waited for DISCONNECTED and %q, got %+v", words, s)
}

// Whoever is refused asks again for ever.
func TestConnection_PasswordChanged(t *testing.T) {
	g := newGuarded(t)
	password := make(chan string, 1)
	password <- "secret"
	now := func() (string, string) {
		p := <-password
		password <- p
		return "faultd", p
	}
	r := g.follow(newStore(t), nats.UserInfoHandler(now))
	g.publish(1, 11)
	r.await(consumer.Ready, 10)
	g.reload(users("another"))
	g.publish(11, 21)
	r.awaitReason("no connection to NATS", "authorization violation")
	time.Sleep(1500 * time.Millisecond) // it is refused more than twice
	r.awaitReason("no connection to NATS", "authorization violation")
	<-password
	password <- "another"
	r.await(consumer.Ready, 20)
	r.wantApplied(span(1, 21)...)
}

func TestConnection_RefusedFromTheBeginning(t *testing.T) {
	g := newGuarded(t)
	r := g.follow(newStore(t), nats.UserInfo("faultd", "another"))
	r.awaitReason("no connection to NATS", "authorization violation")
	time.Sleep(1500 * time.Millisecond)
	g.reload(users("another"))
	g.publish(1, 11)
	r.await(consumer.Ready, 10)
	r.wantApplied(span(1, 11)...)
}

// What is denied is named, whether it is at the beginning or while reading, and does no harm once it is allowed.
func TestConnection_SubjectDenied(t *testing.T) {
	for _, denied := range []string{"$JS.API.STREAM.INFO.JOBS", "$JS.API.STREAM.MSG.GET.JOBS", "$JS.API.CONSUMER.CREATE.JOBS.>", "$JS.API.CONSUMER.MSG.NEXT.JOBS.>"} {
		for _, live := range []bool{false, true} {
			if live && strings.Contains(denied, "CONSUMER") {
				continue // it is not asked for any more, or not for half a minute
			}
			t.Run(fmt.Sprintf("%s, reading %v", denied, live), func(t *testing.T) {
				g := newGuarded(t)
				store := newStore(t)
				r := g.follow(store, nats.UserInfo("faultd", "secret"))
				g.publish(1, 11)
				r.await(consumer.Ready, 10)
				if !live {
					r.stop()
				}
				g.reload(users("secret", denied))
				g.publish(11, 21)
				if !live {
					r = g.follow(store, nats.UserInfo("faultd", "secret"))
				}
				r.awaitReason("does not let faultd read", "permissions violation", strings.TrimSuffix(denied, ".>"))
				g.reload(users("secret"))
				r.await(consumer.Ready, 20)
				r.wantApplied(span(1, 21)...)
			})
		}
	}
}

// operator signs who may do what.
type operator struct {
	testing.TB
	account nkeys.KeyPair
}

// newOperated starts a server that believes in signatures.
func newOperated(t testing.TB) (*guarded, *operator) {
	t.Helper()
	key, err := nkeys.CreateOperator()
	must(t, err)
	resolver := &server.MemAccResolver{}
	accounts := [2]nkeys.KeyPair{} // the server's own, and ours
	for i := range accounts {
		accounts[i], err = nkeys.CreateAccount()
		must(t, err)
		claims := jwt.NewAccountClaims(public(t, accounts[i]))
		if i == 1 {
			claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
		}
		signed, err := claims.Encode(key)
		must(t, err)
		must(t, resolver.Store(claims.Subject, signed))
	}
	account := accounts[1]
	g := &guarded{bench: &bench{TB: t}, opts: server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true,
		StoreDir: t.TempDir(), NoSigs: true, NoLog: true, TrustedKeys: []string{public(t, key)}, AccountResolver: resolver,
		SystemAccount: public(t, accounts[0])}}
	o := &operator{t, account}
	admin := filepath.Join(t.TempDir(), "admin.creds")
	o.sign(admin, time.Hour)
	g.begin(nats.UserCredentials(admin))
	return g, o
}

// sign writes credentials for a new user, which are good for so long.
func (o *operator) sign(path string, good time.Duration) {
	o.Helper()
	user, err := nkeys.CreateUser()
	must(o, err)
	claims := jwt.NewUserClaims(public(o, user))
	claims.Expires = time.Now().Add(good).Unix()
	signed, err := claims.Encode(o.account)
	must(o, err)
	seed, err := user.Seed()
	must(o, err)
	text, err := jwt.FormatUserConfig(signed, seed)
	must(o, err)
	must(o, os.WriteFile(path, text, 0o600))
}

func public(t testing.TB, key nkeys.KeyPair) string {
	t.Helper()
	text, err := key.PublicKey()
	must(t, err)
	return text
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The file of credentials is read at each attempt: an operator replaces what has expired.
func TestConnection_CredentialsReplaced(t *testing.T) {
	g, o := newOperated(t)
	path := filepath.Join(t.TempDir(), "faultd.creds")
	o.sign(path, 3*time.Second)
	r := g.runAt(g.nats.ClientURL(), newStore(t), func(c *consumer.Config) { c.Credentials = path })
	g.publish(1, 11)
	r.await(consumer.Ready, 10)
	r.awaitReason("no connection to NATS", "auth") // expired first, then refused
	must(t, os.Remove(path))
	r.awaitReason("no connection to NATS", "faultd.creds")
	g.publish(11, 21)
	o.sign(path, time.Hour)
	r.await(consumer.Ready, 20)
	r.wantApplied(span(1, 21)...)
}

// At the start a file that is not there is a mistake in the configuration.
func TestConnection_NoCredentials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faultd.creds")
	r := (&bench{TB: t}).runAt("nats://127.0.0.1:1", newStore(t), func(c *consumer.Config) { c.Credentials = path })
	if err := r.end(); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("ended with %v", err)
	}
}
