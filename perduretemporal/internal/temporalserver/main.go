// Command temporalserver is a Temporal server for tests: all its services in one
// process, on 127.0.0.1 alone, with SQLite in a file, so that it can be killed and
// started again. It ends when its standard input does, and so with whoever started it.
//
// It is a module of its own, outside the workspace: nobody who uses, builds or
// tests perdure otherwise meets what a server needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

const host = "127.0.0.1"

func main() {
	port := flag.Int("port", 0, "port of the frontend, on 127.0.0.1")
	file := flag.String("db", "", "SQLite file, made if it is not there")
	events := flag.Int("continue-after", 0, "events of a history after which to suggest a new execution; 0 means the server's default")
	flag.Parse()
	if err := serve(*port, *file, *events); err != nil {
		fmt.Fprintln(os.Stderr, "temporalserver:", err)
		os.Exit(1)
	}
}

func serve(port int, file string, events int) error {
	if port == 0 || file == "" {
		return errors.New("-port and -db are needed")
	}
	c, err := configuration(port, file)
	if err != nil {
		return err
	}
	sql := c.Persistence.DataStores[sqliteplugin.PluginName].SQL
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if err := sqlite.SetupSchema(sql); err != nil {
			return fmt.Errorf("schema: %w", err)
		}
		namespace, err := sqlite.NewNamespaceConfig(c.ClusterMetadata.CurrentClusterName, "default", false, nil)
		if err != nil {
			return err
		}
		if err := sqlite.CreateNamespaces(sql, namespace); err != nil {
			return fmt.Errorf("namespace: %w", err)
		}
	}
	logger := log.NewZapLogger(log.BuildZapLogger(log.Config{Stdout: true, Level: "warn"}))
	mapper, err := authorization.GetClaimMapperFromConfig(&c.Global.Authorization, logger)
	if err != nil {
		return err
	}
	settings := dynamicconfig.StaticClient{
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
	}
	if events > 0 {
		settings[dynamicconfig.HistoryCountSuggestContinueAsNew.Key()] = events
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(c), temporal.ForServices(temporal.DefaultServices), temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return mapper }),
		temporal.WithDynamicConfigClient(settings),
	)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return errors.Join(err, server.Stop())
	}
	return server.Stop()
}

// configuration is that of one node that knows only itself.
func configuration(port int, file string) (*config.Config, error) {
	ports, err := freePorts(7)
	if err != nil {
		return nil, err
	}
	service := func(grpc, membership int) config.Service {
		return config.Service{RPC: config.RPC{GRPCPort: grpc, MembershipPort: membership, BindOnIP: host}}
	}
	frontend := net.JoinHostPort(host, fmt.Sprint(port))
	return &config.Config{
		Global: config.Global{Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: host}},
		Persistence: config.Persistence{
			DefaultStore: sqliteplugin.PluginName, VisibilityStore: sqliteplugin.PluginName, NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{sqliteplugin.PluginName: {SQL: &config.SQL{
				PluginName: sqliteplugin.PluginName, DatabaseName: file,
				ConnectAttributes: map[string]string{"mode": "rwc", "_journal_mode": "wal", "_synchronous": "1"},
			}}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: "active", CurrentClusterName: "active",
			ClusterInformation: map[string]cluster.ClusterInformation{
				"active": {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			"frontend": service(port, ports[0]), "history": service(ports[1], ports[2]),
			"matching": service(ports[3], ports[4]), "worker": service(ports[5], ports[6]),
		},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		PublicClient: config.PublicClient{HostPort: frontend},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
	}, nil
}

// freePorts returns ports that nobody has at this moment.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, err
		}
		defer l.Close() // all together, so that none is given twice
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
