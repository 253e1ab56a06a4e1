// SPDX-License-Identifier: Apache-2.0

// The Go driver. CQL_VERSION: the protocol version, or nothing for what it chooses; CQL_COMPRESSION.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/apache/cassandra-gocql-driver/v2/lz4"
	"github.com/apache/cassandra-gocql-driver/v2/snappy"
	"gopkg.in/inf.v0"
)

const rowCount = 10000

var (
	hosts  = strings.Split(os.Getenv("CQL_HOSTS"), ",")
	names  = []string{"cassandra-1", "cassandra-2", "cassandra-3"}
	failed = false
)

/* ---- checks: what is not as it should be ends them ---- */

type different string

func fail(format string, args ...any) {
	panic(different(fmt.Sprintf(format, args...)))
}

func same(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		fail("%s: %.150v instead of %.150v", what, got, want)
	}
}

func must(what string, err error) {
	if err != nil {
		fail("%s: %T %v", what, err, err)
	}
}

func within(what string, err error, want string) {
	if err == nil || !strings.Contains(err.Error(), want) {
		fail("%s: no %q in %v", what, want, err)
	}
}

func check(name string, run func()) {
	defer func() {
		verdict, detail := "ok", ""
		if problem := recover(); problem != nil {
			failed = true
			verdict, detail = "FAIL", strings.Join(strings.Fields(fmt.Sprint(problem)), " ")
		}
		fmt.Printf("%s\t%s\t%.300s\n", verdict, name, detail)
	}()
	run()
}

func until(what string, condition func() bool) {
	for end := time.Now().Add(15 * time.Second); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			fail("%s: not within 15 s", what)
		}
	}
}

/* ---- the admin interface ---- */

type node struct {
	Name       string   `json:"name"`
	State      string   `json:"state"`
	SeenUpBy   []string `json:"seen_up_by"`
	Statements int      `json:"statements"`
	Rows       int      `json:"rows"`
}

func admin(method, path string, into any) {
	request, err := http.NewRequest(method, os.Getenv("CQL_ADMIN")+path, nil)
	must(path, err)
	answer, err := http.DefaultClient.Do(request)
	must(path, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(path, err)
	same(path+": "+string(body), answer.StatusCode, 200)
	must(path, json.Unmarshal(body, into))
}

func nodes() []node {
	var all struct {
		Nodes []node `json:"nodes"`
	}
	admin("GET", "/nodes", &all)
	return all.Nodes
}

func act(name, action string) {
	var ignored any
	admin("POST", "/nodes?name="+name+"&do="+action, &ignored)
}

func counter(name string) int {
	var all struct {
		Cql map[string]int `json:"cql"`
	}
	admin("GET", "/counters", &all)
	return all.Cql[name]
}

func allUp() {
	for _, n := range nodes() {
		if n.State == "frozen" {
			act(n.Name, "thaw")
		} else if n.State == "down" {
			act(n.Name, "start")
		}
	}
	until("all nodes up", func() bool {
		for _, n := range nodes() {
			if len(n.SeenUpBy) != 2 {
				return false
			}
		}
		return true
	})
}

func away(how string, which []string, run func()) {
	defer allUp()
	for _, name := range which {
		act(name, how)
	}
	run()
}

/* ---- sessions ---- */

type listener struct {
	sync.Mutex
	seen []string
}

func (l *listener) note(word string, host *gocql.HostInfo) {
	l.Lock()
	defer l.Unlock()
	l.seen = append(l.seen, word+" "+host.ConnectAddress().String())
}
func (l *listener) OnHostUp(event gocql.HostUpEvent)     { l.note("up", event.Host) }
func (l *listener) OnHostDown(event gocql.HostDownEvent) { l.note("down", event.Host) }
func (l *listener) has(text string) bool {
	l.Lock()
	defer l.Unlock()
	for _, one := range l.seen {
		if one == text {
			return true
		}
	}
	return false
}

func config(keyspace string) *gocql.ClusterConfig {
	cluster := gocql.NewCluster(hosts[0])
	cluster.Port, _ = strconv.Atoi(os.Getenv("CQL_PORT"))
	cluster.Keyspace = keyspace
	cluster.Consistency = gocql.LocalQuorum
	cluster.Timeout = 10 * time.Second
	cluster.ConnectTimeout = 10 * time.Second
	cluster.ReconnectInterval = 500 * time.Millisecond
	cluster.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1000, Interval: 200 * time.Millisecond}
	cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.DCAwareRoundRobinPolicy(os.Getenv("CQL_DC")))
	cluster.Authenticator = gocql.PasswordAuthenticator{Username: os.Getenv("CQL_USER"), Password: os.Getenv("CQL_PASSWORD")}
	if version, err := strconv.Atoi(os.Getenv("CQL_VERSION")); err == nil {
		cluster.ProtoVersion = version
	}
	switch os.Getenv("CQL_COMPRESSION") {
	case "lz4":
		cluster.Compressor = lz4.LZ4Compressor{}
	case "snappy":
		cluster.Compressor = snappy.SnappyCompressor{}
	}
	return cluster
}

func open(cluster *gocql.ClusterConfig) *gocql.Session {
	session, err := cluster.CreateSession()
	must("session", err)
	return session
}

var session *gocql.Session

func exec(query string, args ...any) {
	must(query, session.Query(query, args...).Exec())
}

func scan(query string, dest ...any) {
	must(query, session.Query(query).Scan(dest...))
}

func rowsOf(query string, args ...any) []map[string]any {
	rows, err := session.Query(query, args...).Iter().SliceMap()
	must(query, err)
	return rows
}

/* ---- the checks ---- */

func threeNodes() {
	until("three hosts", func() bool { return len(session.GetHosts()) == 3 })
	addresses, racks := []string{}, []string{}
	for _, host := range session.GetHosts() {
		until(host.String()+" is up", host.IsUp)
		addresses, racks = append(addresses, host.ConnectAddress().String()), append(racks, host.Rack())
		same("data centre", host.DataCenter(), os.Getenv("CQL_DC"))
		same("release", host.Version().String(), "v4.0.14")
		if len(host.Tokens()) == 0 || host.HostID() == "" {
			fail("%s has no tokens or no id", host)
		}
	}
	sort.Strings(addresses)
	sort.Strings(racks)
	same("addresses", addresses, hosts)
	same("racks", racks, []string{"r1", "r2", "r3"})
}

func ddl() {
	for keyspace, replicas := range map[string]int{"clients": 3, "single": 1} {
		exec(fmt.Sprintf("CREATE KEYSPACE %s WITH replication = {'class': 'NetworkTopologyStrategy', '%s': %d}",
			keyspace, os.Getenv("CQL_DC"), replicas))
	}
	session.Close()
	session = open(config("clients"))
	for _, table := range []string{"rows (p int, c int, v text, PRIMARY KEY (p, c)) WITH CLUSTERING ORDER BY (c DESC)",
		"single.rows (k int PRIMARY KEY, v text)", "small (k text PRIMARY KEY, v int)",
		"counts (k text PRIMARY KEY, n counter)",
		"fixed (p int, c int, s text STATIC, v text, PRIMARY KEY (p, c))"} {
		exec("CREATE TABLE " + table)
		must("agreement", session.AwaitSchemaAgreement(context.Background()))
	}
	exec("ALTER TABLE small ADD extra list<int>")
	var keyspace *gocql.KeyspaceMetadata
	until("metadata", func() bool {
		var err error
		keyspace, err = session.KeyspaceMetadata("clients")
		return err == nil && keyspace.Tables["fixed"] != nil && keyspace.Tables["small"].Columns["extra"] != nil
	})
	same("replication", keyspace.StrategyClass, "org.apache.cassandra.locator.NetworkTopologyStrategy")
	table := keyspace.Tables["rows"]
	same("partition key", table.PartitionKey[0].Name, "p")
	same("clustering key", table.ClusteringColumns[0].Name, "c")
	same("order", table.ClusteringColumns[0].Order, gocql.DESC)
	same("types", []gocql.Type{table.Columns["c"].Type.Type(), table.Columns["v"].Type.Type()}, []gocql.Type{gocql.TypeInt, gocql.TypeText})
	same("static", keyspace.Tables["fixed"].Columns["s"].Kind, gocql.ColumnStatic)
	exec("ALTER TABLE small DROP extra")
	until("dropped", func() bool {
		keyspace, err := session.KeyspaceMetadata("clients")
		return err == nil && keyspace.Tables["small"].Columns["extra"] == nil
	})
}

func spread() {
	before, answers := nodes(), map[string]int{}
	for i := 0; i < 300; i++ {
		var address net.IP
		scan("SELECT rpc_address FROM system.local", &address)
		answers[address.String()]++
	}
	for i, n := range nodes() {
		if answers[hosts[i]] < 60 || n.Statements-before[i].Statements < answers[hosts[i]] {
			fail("%s gave %d of 300 answers, counted %d", n.Name, answers[hosts[i]], n.Statements-before[i].Statements)
		}
	}
}

func tokenAware() {
	for k := 0; k < 40; k++ {
		before, owners := nodes(), 0
		must("insert", session.Query("INSERT INTO single.rows (k, v) VALUES (?, 'x')", k).Consistency(gocql.One).Exec())
		for i, n := range nodes() {
			if n.Rows == before[i].Rows {
				continue
			}
			owners++
			if n.Statements == before[i].Statements {
				fail("key %d is on %s, which was not asked", k, n.Name)
			}
		}
		same("replicas of a row", owners, 1)
	}
}

func prepare() {
	exec("INSERT INTO rows (p, c, v) VALUES (?, ?, ?)", 1, 1, "one")
	exec("INSERT INTO rows (p, c, v) VALUES (?, ?, ?)", 1, 2, nil)
	iter := session.Query("SELECT c, v FROM rows WHERE p = ?", 1).Iter()
	same("columns", []gocql.Type{iter.Columns()[0].TypeInfo.Type(), iter.Columns()[1].TypeInfo.Type()}, []gocql.Type{gocql.TypeInt, gocql.TypeVarchar})
	var c int
	var v *string
	same("row", iter.Scan(&c, &v) && c == 2 && v == nil, true)
	same("row", iter.Scan(&c, &v) && c == 1 && *v == "one", true)
	must("close", iter.Close())
	within("error", session.Query("SELECT nothing FROM rows WHERE p = ?", 1).Exec(), "Undefined column name nothing")
	if os.Getenv("CQL_VERSION") != "3" {
		exec("INSERT INTO rows (p, c, v) VALUES (?, ?, ?)", 1, 1, gocql.UnsetValue)
		scan("SELECT v FROM rows WHERE p = 1 AND c = 1", &v)
		same("unset keeps", *v, "one")
	}
	for i := 0; i < 20; i++ { // on each node once
		rowsOf("SELECT c, v FROM rows WHERE p = ?", 1)
	}
	before := counter("prepares")
	for i := 0; i < 20; i++ {
		rowsOf("SELECT c, v FROM rows WHERE p = ?", 1)
	}
	same("prepared again", counter("prepares"), before)
}

func paging() {
	var group sync.WaitGroup
	problems := make(chan error, 100)
	for worker := 0; worker < 50; worker++ {
		group.Add(1)
		go func(first int) {
			defer group.Done()
			for c := first; c < rowCount; c += 50 {
				if err := session.Query("INSERT INTO rows (p, c, v) VALUES (100, ?, 'v')", c).Exec(); err != nil {
					problems <- err
					return
				}
			}
		}(worker)
	}
	group.Wait()
	same("insert problems", len(problems), 0)
	for _, size := range []int{5000, 777} {
		var state []byte
		sum, pages, c, last := 0, 0, 0, rowCount
		for {
			iter := session.Query("SELECT c FROM rows WHERE p = ?", 100).PageSize(size).PageState(state).Iter()
			state = iter.PageState()
			for iter.Scan(&c) {
				same("order", c, last-1)
				sum, last = sum+c, c
			}
			must("page", iter.Close())
			pages++
			if len(state) == 0 {
				break
			}
		}
		same("sum", sum, rowCount*(rowCount-1)/2)
		same("pages", pages, rowCount/size+1)
	}
	iter, count, c := session.Query("SELECT c FROM rows WHERE p = ?", 100).PageSize(900).Iter(), 0, 0
	for iter.Scan(&c) {
		count++
	}
	must("iterator", iter.Close())
	same("count", count, rowCount)
}

func batches() {
	for _, kind := range []gocql.BatchType{gocql.LoggedBatch, gocql.UnloggedBatch} {
		batch := session.Batch(kind)
		for i := 0; i < 5; i++ {
			batch.Query("INSERT INTO small (k, v) VALUES (?, ?)", fmt.Sprintf("batch-%d-%d", kind, i), i)
		}
		batch.Query("DELETE FROM small WHERE k = ?", fmt.Sprintf("batch-%d-0", kind))
		must("batch", batch.Exec())
		sum := 0
		for _, row := range rowsOf("SELECT k, v FROM small") {
			if strings.HasPrefix(row["k"].(string), fmt.Sprintf("batch-%d-", kind)) {
				sum += 1<<row["v"].(int)
			}
		}
		same("rows of the batch", sum, 2+4+8+16)
	}
	batch := session.Batch(gocql.CounterBatch)
	for _, k := range []string{"a", "b", "a"} {
		batch.Query("UPDATE counts SET n = n + 2 WHERE k = ?", k)
	}
	must("counters", batch.Exec())
	for k, want := range map[string]int64{"a": 4, "b": 2} {
		same(k, rowsOf("SELECT n FROM counts WHERE k = ?", k)[0]["n"], want)
	}
	batch = session.Batch(gocql.LoggedBatch)
	batch.Query("UPDATE counts SET n = n + 1 WHERE k = 'a'")
	var invalid *gocql.RequestErrInvalid
	if err := batch.Exec(); !errors.As(err, &invalid) {
		within("counter in a logged batch", err, "ounter")
		same("code", err.(gocql.RequestError).Code(), gocql.ErrCodeInvalid)
	}
}

func cas(query string, args ...any) (bool, map[string]any) {
	row := map[string]any{}
	applied, err := session.Query(query, args...).MapScanCAS(row)
	must(query, err)
	return applied, row
}

func lwt() {
	applied, _ := cas("INSERT INTO small (k, v) VALUES ('l', 1) IF NOT EXISTS")
	same("first", applied, true)
	applied, row := cas("INSERT INTO small (k, v) VALUES ('l', 2) IF NOT EXISTS")
	same("second", applied, false)
	same("row", row, map[string]any{"k": "l", "v": 1})
	applied, row = cas("UPDATE small SET v = ? WHERE k = 'l' IF v = ?", 3, 7)
	same("not applied", applied, false)
	same("row", row, map[string]any{"v": 1})
	applied, _ = cas("UPDATE small SET v = ? WHERE k = 'l' IF v = ?", 3, 1)
	same("applied", applied, true)
	var v int
	must("SERIAL", session.Query("SELECT v FROM small WHERE k = 'l'").Consistency(gocql.Serial).Scan(&v))
	same("SERIAL", v, 3)
	applied, err := session.Query("DELETE FROM small WHERE k = 'l' IF EXISTS").SerialConsistency(gocql.LocalSerial).MapScanCAS(map[string]any{})
	must("delete", err)
	same("deleted", applied, true)
	batch := session.Batch(gocql.LoggedBatch)
	batch.Query("INSERT INTO fixed (p, c, v) VALUES (9, 1, 'a') IF NOT EXISTS")
	batch.Query("INSERT INTO fixed (p, c, v) VALUES (9, 2, 'b')")
	for _, want := range []bool{true, false} {
		applied, iter, err := batch.MapExecCAS(map[string]any{})
		must("batch", err)
		must("batch", iter.Close())
		same("batch", applied, want)
	}
}

func statics() {
	exec("INSERT INTO fixed (p, c, v) VALUES (1, 1, 'a')")
	exec("INSERT INTO fixed (p, c, s, v) VALUES (1, 2, 'shared', 'b')")
	same("rows", rowsOf("SELECT c, s, v FROM fixed WHERE p = 1"), []map[string]any{
		{"c": 1, "s": "shared", "v": "a"}, {"c": 2, "s": "shared", "v": "b"}})
	exec("UPDATE fixed SET s = 'other' WHERE p = 2")
	same("alone", rowsOf("SELECT p, s FROM fixed WHERE p = 2"), []map[string]any{{"p": 2, "s": "other"}})
}

func simpleTypes() {
	huge := new(big.Int).Exp(big.NewInt(10), big.NewInt(40), nil)
	fraction, _ := new(inf.Dec).SetString("-12345678901234567890.0123")
	types := []struct {
		name  string
		value any
		into  any
	}{
		{"ascii", "plain", new(string)}, {"bigint", int64(-1 << 63), new(int64)}, {"blob", []byte{0, 255}, new([]byte)},
		{"boolean", true, new(bool)}, {"date", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), new(time.Time)},
		{"decimal", *fraction, new(inf.Dec)}, {"double", 0.1, new(float64)}, {"float", float32(0.5), new(float32)},
		{"int", -1 << 31, new(int)}, {"smallint", int16(-1 << 15), new(int16)},
		{"text", "\u00fc\u6f22\U0001f600", new(string)}, {"time", 24*time.Hour - 1, new(time.Duration)},
		{"timestamp", time.Date(2024, 2, 29, 12, 30, 1, 250000000, time.UTC), new(time.Time)},
		{"timeuuid", gocql.TimeUUID(), new(gocql.UUID)}, {"tinyint", int8(-128), new(int8)},
		{"uuid", gocql.MustRandomUUID(), new(gocql.UUID)}, {"varint", *huge, new(big.Int)},
		{"inet", net.ParseIP("2001:db8::1"), new(net.IP)},
	}
	var define, columns, marks []string
	var values, into []any
	for _, t := range types {
		define, columns, marks = append(define, "c_"+t.name+" "+t.name), append(columns, "c_"+t.name), append(marks, "?")
		values, into = append(values, t.value), append(into, t.into)
	}
	exec("CREATE TABLE types (k int PRIMARY KEY, " + strings.Join(define, ", ") + ")")
	exec("INSERT INTO types (k, "+strings.Join(columns, ", ")+") VALUES (0, "+strings.Join(marks, ", ")+")", values...)
	scan("SELECT "+strings.Join(columns, ", ")+" FROM types WHERE k = 0", into...)
	for _, t := range types {
		got := reflect.ValueOf(t.into).Elem().Interface()
		same(t.name, fmt.Sprintf("%v", got), fmt.Sprintf("%v", t.value))
	}
}

func collections() {
	exec("CREATE TABLE many (k int PRIMARY KEY, l list<text>, s set<int>, m map<text, bigint>, f frozen<map<int, frozen<list<text>>>>)")
	exec("INSERT INTO many (k, l, s, m, f) VALUES (?, ?, ?, ?, ?)", 1, []string{"b", "a", "b"}, []int{3, 1, 2},
		map[string]int64{"x": 1, "y": 1 << 40}, map[int][]string{1: {"p", "q"}})
	exec("UPDATE many SET l = l + ['z'], s = s - {1}, m['x'] = 5, m['n'] = 0 WHERE k = 1")
	same("row", rowsOf("SELECT l, s, m, f FROM many WHERE k = 1")[0], map[string]any{"l": []string{"b", "a", "b", "z"}, "s": []int{2, 3},
		"m": map[string]int64{"n": 0, "x": 5, "y": 1 << 40}, "f": map[int][]string{1: {"p", "q"}}})
	exec("DELETE l[0], m['y'] FROM many WHERE k = 1")
	same("after", rowsOf("SELECT l, m FROM many WHERE k = 1")[0], map[string]any{"l": []string{"a", "b", "z"}, "m": map[string]int64{"n": 0, "x": 5}})
}

func counting() {
	for _, step := range []int64{5, 10, -3} {
		exec("UPDATE counts SET n = n + ? WHERE k = 'c'", step)
	}
	same("counter", rowsOf("SELECT n FROM counts WHERE k = 'c'")[0]["n"], int64(12))
}

func ttl() {
	must("insert", session.Query("INSERT INTO small (k, v) VALUES ('ttl', 1) USING TTL 2 AND TIMESTAMP 1700000000000000").DefaultTimestamp(false).Exec())
	var left int
	var written int64
	scan("SELECT ttl(v), writetime(v) FROM small WHERE k = 'ttl'", &left, &written)
	same("writetime", written, int64(1700000000000000))
	same("ttl", left == 1 || left == 2, true)
	until("it expires", func() bool { return len(rowsOf("SELECT * FROM small WHERE k = 'ttl'")) == 0 })
}

func errorClasses() {
	for _, one := range []struct {
		query, text string
		code        int
	}{
		{"SELEC * FROM rows", "no viable alternative at input 'SELEC'", gocql.ErrCodeSyntax},
		{"SELECT * FROM nothing", "table nothing does not exist", gocql.ErrCodeInvalid},
		{"SELECT * FROM rows WHERE v = 'x'", "ALLOW FILTERING", gocql.ErrCodeInvalid},
		{"CREATE KEYSPACE bad WITH replication = {'class': 'NoSuchStrategy'}", "NoSuchStrategy", gocql.ErrCodeConfig},
		{"CREATE TABLE rows (k int PRIMARY KEY)", "already exist", gocql.ErrCodeAlreadyExists}} {
		err := session.Query(one.query).Exec()
		within(one.query, err, one.text)
		var server gocql.RequestError
		same(one.query, errors.As(err, &server) && server.Code() == one.code, true)
	}
	var exists *gocql.RequestErrAlreadyExists
	err := session.Query("CREATE TABLE rows (k int PRIMARY KEY)").Exec()
	same("class", errors.As(err, &exists), true)
	same("names", exists.Keyspace+"."+exists.Table, "clients.rows")
}

func authentication() {
	for _, user := range []string{os.Getenv("CQL_USER"), "nobody"} {
		cluster := config("")
		cluster.Authenticator = gocql.PasswordAuthenticator{Username: user, Password: "wrong"}
		_, err := cluster.CreateSession()
		within(user, err, "Provided username "+user+" and/or password are incorrect")
	}
	cluster := config("")
	cluster.Authenticator = nil
	_, err := cluster.CreateSession()
	within("none", err, "auth")
	open(config("")).Close()
}

/* Errors as they are; but a connection that its node has reset is no answer. */
type onlyBroken struct{}

func (onlyBroken) Attempt(query gocql.RetryableQuery) bool { return query.Attempts() < 10 }
func (onlyBroken) GetRetryType(err error) gocql.RetryType {
	var server gocql.RequestError
	if errors.As(err, &server) {
		return gocql.Rethrow
	}
	return gocql.RetryNextHost
}

/* The driver ends requests of a connection that it closes as cancelled, and asks no retry policy; nobody here cancels any. */
func answered(query *gocql.Query) error {
	for i := 0; ; i++ {
		err := query.Idempotent(true).RetryPolicy(onlyBroken{}).Exec()
		if i == 10 || !errors.Is(err, context.Canceled) {
			return err
		}
	}
}

func outcome(query string, level gocql.Consistency) string {
	err := answered(session.Query(query).Consistency(level))
	var unavailable *gocql.RequestErrUnavailable
	var server gocql.RequestError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &unavailable):
		same("level in the error", unavailable.Consistency, level)
		return fmt.Sprintf("%d/%d", unavailable.Required, unavailable.Alive)
	case errors.As(err, &server) && server.Code() == gocql.ErrCodeInvalid:
		return "invalid"
	}
	return err.Error()
}

func levels(kind, query string) {
	var table map[string]map[string]map[string]string
	must("CQL_LEVELS", json.Unmarshal([]byte(os.Getenv("CQL_LEVELS")), &table))
	for down, expected := range table {
		count, _ := strconv.Atoi(down)
		away("stop", names[3-count:], func() {
			for name, both := range expected {
				var level gocql.Consistency
				must(name, level.UnmarshalText([]byte(name)))
				same(name+" with "+down+" down", outcome(query, level), both[kind])
			}
		})
	}
}

func events() {
	heard := &listener{}
	cluster := config("clients")
	cluster.Metadata.HostListener = gocql.HostListenersConfig{HostStateChangeListener: heard}
	other := open(cluster)
	defer other.Close()
	read := func() {
		must("read", answered(other.Query("SELECT * FROM small WHERE k = 'u'")))
	}
	for i, how := range map[int]string{2: "stop", 1: "kill"} {
		away(how, []string{names[i]}, func() {
			until("DOWN after "+how, func() bool { read(); return heard.has("down " + hosts[i]) })
		})
		until("UP after "+how, func() bool { return heard.has("up " + hosts[i]) })
	}
	for i, name := range names {
		before := nodes()[i].Statements
		until("requests to "+name+" again", func() bool { read(); return nodes()[i].Statements > before })
	}
}

func unprepared() {
	read := func(when string) {
		for i := 0; i < 30; i++ {
			same(when, rowsOf("SELECT v FROM small WHERE k = ?", "u")[0]["v"], 42)
		}
	}
	exec("INSERT INTO small (k, v) VALUES ('u', 42)")
	read("before")
	away("stop", names[2:], func() { must("read", answered(session.Query("SELECT v FROM small WHERE k = ?", "u"))) })
	until("the pool", func() bool {
		for _, host := range session.GetHosts() {
			if !host.IsUp() {
				return false
			}
		}
		return true
	})
	read("after a restart")
	before := counter("unprepared")
	for _, name := range names {
		act(name, "forget-prepared")
	}
	read("after UNPREPARED")
	same("answered UNPREPARED", counter("unprepared") > before, true)
}

func timeouts() {
	cluster := config("clients")
	cluster.HostFilter = gocql.WhiteListHostFilter(hosts[0])
	cluster.Timeout = 3 * time.Second
	only := open(cluster)
	defer only.Close()
	away("freeze", names[1:2], func() {
		var write *gocql.RequestErrWriteTimeout
		err := only.Query("INSERT INTO small (k, v) VALUES ('w', 1)").Consistency(gocql.All).Exec()
		same(fmt.Sprintf("write: %v", err), errors.As(err, &write), true)
		same("write", []any{write.Received, write.BlockFor, write.WriteType}, []any{2, 3, "SIMPLE"})
		var read *gocql.RequestErrReadTimeout
		err = only.Query("SELECT * FROM small WHERE k = 'w'").Consistency(gocql.All).Exec()
		same(fmt.Sprintf("read: %v", err), errors.As(err, &read), true)
		same("read", []any{read.Received, read.BlockFor}, []any{2, 3})
	})
	var v int
	must("read", only.Query("SELECT v FROM small WHERE k = 'w'").Consistency(gocql.All).Scan(&v))
	same("written all the same", v, 1)
	away("freeze", names[:1], func() {
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		err := only.Query("SELECT v FROM small WHERE k = 'w'").ExecContext(ctx)
		same(fmt.Sprintf("frozen: %v", err), errors.Is(err, context.DeadlineExceeded), true)
	})
}

func speculative() {
	cluster := config("clients")
	cluster.PoolConfig.HostSelectionPolicy = gocql.RoundRobinHostPolicy()
	fast := open(cluster)
	defer fast.Close()
	read := func() {
		var v int
		must("read", fast.Query("SELECT v FROM small WHERE k = ?", "u").Consistency(gocql.One).Idempotent(true).
			SetSpeculativeExecutionPolicy(&gocql.SimpleSpeculativeExecution{NumAttempts: 2, TimeoutDelay: 50 * time.Millisecond}).Scan(&v))
		same("row", v, 42)
	}
	for i := 0; i < 30; i++ {
		read()
	}
	before := nodes()[2].Statements
	away("freeze", names[2:], func() {
		for i := 0; i < 15; i++ {
			start := time.Now()
			read()
			if time.Since(start) > 2*time.Second {
				fail("%v: as long as without", time.Since(start))
			}
		}
	})
	until("what the frozen node had got", func() bool { return nodes()[2].Statements >= before+3 })
}

func large() {
	exec("CREATE TABLE large (k int PRIMARY KEY, v blob)")
	value := make([]byte, 1<<20)
	for i := range value {
		value[i] = byte(i * i >> 3)
	}
	exec("INSERT INTO large (k, v) VALUES (?, ?)", 1, value)
	var got []byte
	scan("SELECT v FROM large WHERE k = 1", &got)
	same("value", bytes.Equal(got, value), true)
}

func main() {
	session = open(config(""))
	check("three nodes", threeNodes)
	check("DDL and metadata", ddl)
	check("requests spread", spread)
	check("token-aware routing", tokenAware)
	check("prepare", prepare)
	check("paging", paging)
	check("batches", batches)
	check("LWT", lwt)
	check("static columns", statics)
	check("simple types", simpleTypes)
	check("collections", collections)
	check("counters", counting)
	check("TTL and writetime", ttl)
	check("errors", errorClasses)
	check("authentication", authentication)
	check("large values", large)
	check("read levels, nodes down", func() { levels("read", "SELECT * FROM small WHERE k = 'u'") })
	check("write levels, nodes down", func() { levels("write", "INSERT INTO small (k, v) VALUES ('u', 42)") })
	check("events and reconnection", events)
	check("UNPREPARED", unprepared)
	check("timeouts", timeouts)
	check("speculative execution", speculative)
	if failed {
		os.Exit(1)
	}
}
