// Command natsserver is a nats-server in a process of its own, for tests that kill it, stop it and damage its files.
// Its one argument is a configuration file of nats-server, which it reads again on SIGHUP.
package main

import (
	"fmt"
	"os"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "natsserver:", err)
		os.Exit(1)
	}
}

// serve runs the server until a signal ends it.
func serve(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("it takes the path of a configuration file, not %q", args)
	}
	opts, err := server.ProcessConfigFile(args[0])
	if err != nil {
		return fmt.Errorf("reading %s: %w", args[0], err)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("configuring the server: %w", err)
	}
	s.ConfigureLogger()
	s.Start()
	s.WaitForShutdown()
	return nil
}
