package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// configured are the flags that quadrat.yaml may set, under their own names.
var configured = []string{
	"data", "http", "grpc", "nats-listen", "nats", "token-file", "response-floor", "reports-keep", "checkpoint-every", "memory", "speed", "server",
	"retain-reports", "retain-results", "retain-bytes", "shuffler", "shuffler-delta",
	"role", "node", "shares", "replicas", "bucket", "archive", "archive-endpoint", "archive-region", "archive-key-file",
}

// defaultConfig may be missing; a file that was named may not.
const defaultConfig = "quadrat.yaml"

// BeforeResolve reads the configuration file. What stands there gives way to the environment, and that to flags.
func (c *cli) BeforeResolve(k *kong.Context) error {
	var path string
	for _, flag := range k.Flags() {
		if flag.Name == "config" {
			path, _ = k.FlagValue(flag).(string)
		}
	}
	values, err := readConfig(path)
	if err != nil {
		return err
	}
	k.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range flag.Envs {
			if os.Getenv(name) != "" {
				return nil, nil
			}
		}
		if value, ok := values[flag.Name]; ok {
			return value, nil
		}
		return nil, nil
	}))
	return nil
}

// readConfig reads a flat YAML file and reports all unknown names at once.
func readConfig(path string) (map[string]string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && (path == "" || strings.HasSuffix(path, defaultConfig)) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	values := map[string]string{}
	if err := yaml.Unmarshal(raw, &values); err != nil {
		return nil, fmt.Errorf("--config %s: %w", path, err)
	}
	var unknown []string
	for name := range values {
		if !slices.Contains(configured, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		return nil, fmt.Errorf("--config %s: unknown: %s; known: %s", path, strings.Join(unknown, ", "), strings.Join(configured, ", "))
	}
	return values, nil
}
