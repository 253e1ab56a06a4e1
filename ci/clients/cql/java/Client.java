// SPDX-License-Identifier: Apache-2.0

import com.datastax.oss.driver.api.core.*;
import com.datastax.oss.driver.api.core.auth.AuthenticationException;
import com.datastax.oss.driver.api.core.config.DefaultDriverOption;
import com.datastax.oss.driver.api.core.config.DriverConfigLoader;
import com.datastax.oss.driver.api.core.config.ProgrammaticDriverConfigLoaderBuilder;
import com.datastax.oss.driver.api.core.cql.*;
import com.datastax.oss.driver.api.core.metadata.*;
import com.datastax.oss.driver.api.core.metadata.schema.*;
import com.datastax.oss.driver.api.core.servererrors.*;
import com.datastax.oss.driver.api.core.type.DataTypes;
import com.datastax.oss.driver.api.core.uuid.Uuids;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalTime;
import java.util.*;
import java.util.concurrent.CompletionStage;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** The Java driver. CQL_VERSION: the protocol version, or nothing for what it chooses; CQL_COMPRESSION. */
public class Client {
	static final String[] HOSTS = env("CQL_HOSTS").split(",");
	static final String[] NODES = {"cassandra-1", "cassandra-2", "cassandra-3"};
	static final String DC = env("CQL_DC");
	static final int ROWS = 10000;
	static boolean failed;
	static CqlSession session;

	/* ---- checks: what is not as it should be ends them ---- */

	interface Check {
		void run() throws Exception;
	}

	static class Different extends RuntimeException {
		Different(String text) {
			super(text);
		}
	}

	static String env(String name) {
		return System.getenv().getOrDefault(name, "");
	}

	static void same(String what, Object got, Object want) {
		if (!Objects.equals(got, want))
			throw new Different(what + ": " + got + " instead of " + want);
	}

	static void within(String what, String text, String want) {
		if (text == null || !text.contains(want))
			throw new Different(what + ": no " + want + " in " + text);
	}

	static <T extends Throwable> T raised(Class<T> kind, Check action) {
		try {
			action.run();
		} catch (Throwable error) {
			if (kind.isInstance(error))
				return kind.cast(error);
			throw new Different("no " + kind.getSimpleName() + " but " + error);
		}
		throw new Different("no " + kind.getSimpleName());
	}

	static void check(String name, Check action) {
		String line = "ok\t" + name + "\t";
		try {
			action.run();
		} catch (Throwable error) {
			failed = true;
			String text = (error instanceof Different ? error.getMessage() : error.toString()).replaceAll("\\s+", " ");
			line = "FAIL\t" + name + "\t" + text.substring(0, Math.min(300, text.length()));
		}
		System.out.println(line);
	}

	static void until(String what, BooleanSupplier condition) throws Exception {
		for (long end = System.nanoTime() + 15_000_000_000L; !condition.getAsBoolean(); Thread.sleep(20))
			if (System.nanoTime() > end)
				throw new Different(what + ": not within 15 s");
	}

	/* ---- the admin interface ---- */

	static String admin(String method, String path) {
		try {
			HttpResponse<String> answer = HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(env("CQL_ADMIN") + path))
				.method(method, HttpRequest.BodyPublishers.noBody()).version(HttpClient.Version.HTTP_1_1).build(),
				HttpResponse.BodyHandlers.ofString());
			same(path + " " + answer.body(), answer.statusCode(), 200);
			return answer.body();
		} catch (java.io.IOException | InterruptedException error) {
			throw new Different(path + ": " + error);
		}
	}

	/** What is behind "name": in the part of the answer about a node, or in all of it. */
	static String field(String text, String name) {
		Matcher matcher = Pattern.compile("\"" + name + "\":(\\[[^]]*\\]|\"[^\"]*\"|\\d+)").matcher(text);
		same(name + " is there", matcher.find(), true);
		return matcher.group(1).replace("\"", "");
	}

	static String[] nodes() {
		return admin("GET", "/nodes").split("\\{\"name\":", -1);
	}

	static long statements(int node) {
		return Long.parseLong(field(nodes()[node + 1], "statements"));
	}

	static long rows(int node) {
		return Long.parseLong(field(nodes()[node + 1], "rows"));
	}

	static long counter(String name) {
		return Long.parseLong(field(admin("GET", "/counters"), name));
	}

	static void act(String node, String action) {
		admin("POST", "/nodes?name=" + node + "&do=" + action);
	}

	static void allUp() throws Exception {
		String[] parts = nodes();
		for (int i = 0; i < 3; i++) {
			String state = field(parts[i + 1], "state");
			if (!state.equals("up"))
				act(NODES[i], state.equals("frozen") ? "thaw" : "start");
		}
		until("all nodes up", () -> Arrays.stream(nodes()).skip(1).allMatch(part -> field(part, "seen_up_by").split(",").length == 2));
	}

	static void away(String how, List<String> which, Check action) throws Exception {
		for (String node : which)
			act(node, how);
		try {
			action.run();
		} finally {
			allUp();
		}
	}

	/* ---- sessions ---- */

	static ProgrammaticDriverConfigLoaderBuilder config() {
		ProgrammaticDriverConfigLoaderBuilder config = DriverConfigLoader.programmaticBuilder()
			.withDuration(DefaultDriverOption.REQUEST_TIMEOUT, Duration.ofSeconds(10))
			.withDuration(DefaultDriverOption.CONNECTION_INIT_QUERY_TIMEOUT, Duration.ofSeconds(10))
			.withDuration(DefaultDriverOption.CONTROL_CONNECTION_TIMEOUT, Duration.ofSeconds(10))
			.withString(DefaultDriverOption.REQUEST_CONSISTENCY, "LOCAL_QUORUM")
			.withClass(DefaultDriverOption.RECONNECTION_POLICY_CLASS, com.datastax.oss.driver.internal.core.connection.ConstantReconnectionPolicy.class)
			.withDuration(DefaultDriverOption.RECONNECTION_BASE_DELAY, Duration.ofMillis(200));
		if (!env("CQL_VERSION").isEmpty())
			config.withString(DefaultDriverOption.PROTOCOL_VERSION, "V" + env("CQL_VERSION"));
		if (!env("CQL_COMPRESSION").isEmpty())
			config.withString(DefaultDriverOption.PROTOCOL_COMPRESSION, env("CQL_COMPRESSION"));
		return config;
	}

	static CqlSessionBuilder builder(ProgrammaticDriverConfigLoaderBuilder config) {
		return CqlSession.builder().addContactPoint(new InetSocketAddress(HOSTS[0], Integer.parseInt(env("CQL_PORT"))))
			.withLocalDatacenter(DC).withAuthCredentials(env("CQL_USER"), env("CQL_PASSWORD")).withConfigLoader(config.build());
	}

	static ResultSet run(String query, Object... values) {
		return session.execute(SimpleStatement.newInstance(query, values));
	}

	static final Map<String, PreparedStatement> prepared = new HashMap<>();

	static BoundStatement bind(String query, Object... values) {
		return prepared.computeIfAbsent(query, text -> session.prepare(text)).bind(values);
	}

	static String cells(ResultSet result) {
		return result.all().stream().map(row -> IntStream.range(0, row.size()).mapToObj(i -> String.valueOf(row.getObject(i)))
			.collect(Collectors.joining(" "))).collect(Collectors.joining(", "));
	}

	static String address(Node node) {
		return ((InetSocketAddress) node.getEndPoint().resolve()).getAddress().getHostAddress();
	}

	/* ---- the checks ---- */

	static void version() {
		if (!env("CQL_VERSION").isEmpty())
			same("version", session.getContext().getProtocolVersion().getCode(), Integer.parseInt(env("CQL_VERSION")));
		else
			same("version", Set.of(4, 5).contains(session.getContext().getProtocolVersion().getCode()), true);
	}

	static void threeNodes() throws Exception {
		until("three nodes up", () -> session.getMetadata().getNodes().values().stream().filter(node -> node.getState() == NodeState.UP).count() == 3);
		Collection<Node> nodes = session.getMetadata().getNodes().values();
		same("addresses", nodes.stream().map(Client::address).sorted().collect(Collectors.toList()), List.of(HOSTS));
		same("data centres", nodes.stream().map(Node::getDatacenter).collect(Collectors.toSet()), Set.of(DC));
		same("racks", nodes.stream().map(Node::getRack).collect(Collectors.toSet()), Set.of("r1", "r2", "r3"));
		same("release", nodes.stream().map(node -> node.getCassandraVersion().toString()).collect(Collectors.toSet()), Set.of("4.0.14"));
		same("host ids", nodes.stream().map(Node::getHostId).collect(Collectors.toSet()).size(), 3);
		same("partitioner", session.getMetadata().getTokenMap().get().getPartitionerName(), "org.apache.cassandra.dht.Murmur3Partitioner");
	}

	static void ddl() throws Exception {
		run("CREATE KEYSPACE clients WITH replication = {'class': 'NetworkTopologyStrategy', '" + DC + "': 3}");
		run("CREATE KEYSPACE single WITH replication = {'class': 'NetworkTopologyStrategy', '" + DC + "': 1}");
		run("USE clients");
		for (String table : List.of("rows (p int, c int, v text, PRIMARY KEY (p, c)) WITH CLUSTERING ORDER BY (c DESC) AND comment = 'of the clients'",
			"single.rows (k int PRIMARY KEY, v text)", "small (k text PRIMARY KEY, v int)", "counts (k text PRIMARY KEY, n counter)",
			"fixed (p int, c int, s text STATIC, v text, PRIMARY KEY (p, c))"))
			same(table, run("CREATE TABLE " + table).getExecutionInfo().isSchemaInAgreement(), true);
		same("agreement", session.checkSchemaAgreement(), true);
		KeyspaceMetadata keyspace = session.refreshSchema().getKeyspace("clients").get();
		same("replication", keyspace.getReplication(), Map.of("class", "org.apache.cassandra.locator.NetworkTopologyStrategy", DC, "3"));
		TableMetadata table = keyspace.getTable("rows").get();
		same("columns", table.getColumns().keySet().toString(), "[p, c, v]");
		same("order", table.getClusteringColumns().values().toString(), "[DESC]");
		same("type", table.getColumn("v").get().getType(), DataTypes.TEXT);
		same("comment", table.getOptions().get(CqlIdentifier.fromCql("comment")), "of the clients");
		within("described", table.describe(false), "CLUSTERING ORDER BY (\"c\" DESC)");
		same("static", keyspace.getTable("fixed").get().getColumn("s").get().isStatic(), true);
		run("ALTER TABLE small ADD extra list<int>");
		until("ALTER", () -> session.getMetadata().getKeyspace("clients").get().getTable("small").get().getColumn("extra").isPresent());
		run("ALTER TABLE small DROP extra");
		until("dropped", () -> session.getMetadata().getKeyspace("clients").get().getTable("small").get().getColumn("extra").isEmpty());
	}

	static void spread() {
		long[] before = IntStream.range(0, 3).mapToLong(Client::statements).toArray();
		Map<String, Integer> answers = new HashMap<>();
		for (int i = 0; i < 300; i++)
			answers.merge(run("SELECT rpc_address FROM system.local").one().getInetAddress(0).getHostAddress(), 1, Integer::sum);
		for (int i = 0; i < 3; i++)
			if (answers.getOrDefault(HOSTS[i], 0) < 60 || statements(i) - before[i] < answers.get(HOSTS[i]))
				throw new Different(NODES[i] + " gave " + answers.get(HOSTS[i]) + " of 300 answers, counted " + (statements(i) - before[i]));
	}

	static void tokenAware() {
		for (int k = 0; k < 40; k++) {
			String[] before = nodes();
			BoundStatement insert = bind("INSERT INTO single.rows (k, v) VALUES (?, 'x')", k).setConsistencyLevel(ConsistencyLevel.ONE);
			session.execute(insert);
			String[] after = nodes();
			Set<Node> replicas = session.getMetadata().getTokenMap().get().getReplicas("single", insert.getRoutingKey());
			same("replicas", replicas.size(), 1);
			for (int i = 1; i <= 3; i++) {
				if (field(before[i], "rows").equals(field(after[i], "rows")))
					continue;
				same("the driver's replica of " + k, address(replicas.iterator().next()), HOSTS[i - 1]);
				if (field(before[i], "statements").equals(field(after[i], "statements")))
					throw new Different("key " + k + " is on " + NODES[i - 1] + ", which was not asked");
			}
		}
	}

	static void prepare() {
		String insert = "INSERT INTO rows (p, c, v) VALUES (?, ?, ?)";
		session.execute(bind(insert, 1, 1, "one"));
		session.execute(bind(insert, 1, 2, null));
		PreparedStatement statement = prepared.get(insert);
		same("types", List.of(statement.getVariableDefinitions().get(0).getType(), statement.getVariableDefinitions().get(2).getType()),
			List.of(DataTypes.INT, DataTypes.TEXT));
		same("key", statement.getPartitionKeyIndices(), List.of(0));
		same("rows", cells(session.execute(bind("SELECT c, v FROM rows WHERE p = ?", 1))), "2 null, 1 one");
		within("error", raised(InvalidQueryException.class, () -> session.prepare("SELECT nothing FROM rows")).getMessage(), "Undefined column name nothing");
		if (!env("CQL_VERSION").equals("3")) {
			session.execute(statement.bind().setInt(0, 1).setInt(1, 1));
			same("unset keeps", cells(run("SELECT v FROM rows WHERE p = 1 AND c = 1")), "one");
		}
		long before = counter("prepares");
		for (int i = 0; i < 20; i++)
			session.execute(bind("SELECT c, v FROM rows WHERE p = ?", 1));
		same("prepared again", counter("prepares"), before);
	}

	static void paging() throws Exception {
		PreparedStatement insert = session.prepare("INSERT INTO rows (p, c, v) VALUES (100, ?, 'v')");
		for (int c = 0; c < ROWS; c += 200) {
			List<CompletionStage<AsyncResultSet>> some = new ArrayList<>();
			for (int i = c; i < c + 200; i++)
				some.add(session.executeAsync(insert.bind(i)));
			for (CompletionStage<AsyncResultSet> one : some)
				one.toCompletableFuture().get();
		}
		for (int size : new int[] {5000, 777}) {
			long sum = 0;
			int pages = 0, last = ROWS;
			ByteBuffer state = null;
			do {
				ResultSet result = session.execute(bind("SELECT c FROM rows WHERE p = ?", 100).setPageSize(size).setPagingState(state));
				for (int left = result.getAvailableWithoutFetching(); left > 0; left--) {
					int c = result.one().getInt(0);
					same("order", c, last - 1);
					last = c;
					sum += c;
				}
				pages++;
				state = result.getExecutionInfo().getPagingState();
			} while (state != null);
			same("sum", sum, (long) ROWS * (ROWS - 1) / 2);
			same("pages", pages, ROWS / size + 1);
		}
		int count = 0;
		for (Row ignored : session.execute(bind("SELECT c FROM rows WHERE p = ?", 100).setPageSize(900)))
			count++;
		same("rows", count, ROWS);
	}

	static void batches() {
		for (DefaultBatchType type : new DefaultBatchType[] {DefaultBatchType.LOGGED, DefaultBatchType.UNLOGGED}) {
			BatchStatementBuilder batch = BatchStatement.builder(type);
			for (int i = 0; i < 5; i++)
				batch.addStatement(bind("INSERT INTO small (k, v) VALUES (?, ?)", type + "-" + i, i));
			batch.addStatement(SimpleStatement.newInstance("DELETE FROM small WHERE k = '" + type + "-0'"));
			session.execute(batch.build());
			same(type.toString(), run("SELECT k, v FROM small").all().stream().filter(row -> row.getString(0).startsWith(type.toString()))
				.map(row -> row.getInt(1)).sorted().collect(Collectors.toList()), List.of(1, 2, 3, 4));
		}
		BatchStatementBuilder batch = BatchStatement.builder(DefaultBatchType.COUNTER);
		for (String k : List.of("a", "b", "a"))
			batch.addStatement(bind("UPDATE counts SET n = n + 2 WHERE k = ?", k));
		session.execute(batch.build());
		same("counters", cells(run("SELECT n FROM counts WHERE k IN ('a', 'b')")), "4, 2");
		raised(InvalidQueryException.class, () -> session.execute(BatchStatement.newInstance(DefaultBatchType.LOGGED,
			SimpleStatement.newInstance("UPDATE counts SET n = n + 1 WHERE k = 'a'"))));
	}

	static void lwt() {
		same("first", run("INSERT INTO small (k, v) VALUES ('l', 1) IF NOT EXISTS").wasApplied(), true);
		ResultSet second = run("INSERT INTO small (k, v) VALUES ('l', 2) IF NOT EXISTS");
		same("second", second.wasApplied(), false);
		same("row", cells(second), "false l 1");
		String update = "UPDATE small SET v = ? WHERE k = 'l' IF v = ?";
		same("not applied", cells(session.execute(bind(update, 3, 7))), "false 1");
		same("applied", session.execute(bind(update, 3, 1)).wasApplied(), true);
		same("SERIAL", cells(session.execute(SimpleStatement.newInstance("SELECT v FROM small WHERE k = 'l'").setConsistencyLevel(ConsistencyLevel.SERIAL))), "3");
		same("deleted", session.execute(SimpleStatement.newInstance("DELETE FROM small WHERE k = 'l' IF EXISTS")
			.setSerialConsistencyLevel(ConsistencyLevel.LOCAL_SERIAL)).wasApplied(), true);
		BatchStatement batch = BatchStatement.newInstance(DefaultBatchType.LOGGED,
			SimpleStatement.newInstance("INSERT INTO fixed (p, c, v) VALUES (9, 1, 'a') IF NOT EXISTS"),
			SimpleStatement.newInstance("INSERT INTO fixed (p, c, v) VALUES (9, 2, 'b')"));
		same("batch", session.execute(batch).wasApplied(), true);
		same("batch again", session.execute(batch).wasApplied(), false);
	}

	static void statics() {
		run("INSERT INTO fixed (p, c, v) VALUES (1, 1, 'a')");
		run("INSERT INTO fixed (p, c, s, v) VALUES (1, 2, 'shared', 'b')");
		same("rows", cells(run("SELECT c, s, v FROM fixed WHERE p = 1")), "1 shared a, 2 shared b");
		run("UPDATE fixed SET s = 'other' WHERE p = 2");
		same("alone", cells(run("SELECT p, c, s FROM fixed WHERE p = 2")), "2 null other");
	}

	static void simpleTypes() throws Exception {
		Map<String, Object> values = new LinkedHashMap<>();
		values.put("ascii", "plain");
		values.put("bigint", Long.MIN_VALUE);
		values.put("blob", ByteBuffer.wrap(new byte[] {0, -1}));
		values.put("boolean", true);
		values.put("date", LocalDate.of(2024, 2, 29));
		values.put("decimal", new BigDecimal("-12345678901234567890.0123"));
		values.put("double", 0.1);
		values.put("float", 0.5f);
		values.put("inet", InetAddress.getByName("2001:db8::1"));
		values.put("int", Integer.MIN_VALUE);
		values.put("smallint", Short.MIN_VALUE);
		values.put("text", "\u00fc\u6f22\ud83d\ude00");
		values.put("time", LocalTime.of(23, 59, 59, 999_999_999));
		values.put("timestamp", Instant.parse("2024-02-29T12:30:01.250Z"));
		values.put("timeuuid", Uuids.timeBased());
		values.put("tinyint", (byte) -128);
		values.put("uuid", UUID.randomUUID());
		values.put("varint", BigInteger.TEN.pow(40));
		String columns = values.keySet().stream().map(name -> "c_" + name).collect(Collectors.joining(", "));
		run("CREATE TABLE types (k int PRIMARY KEY, " + values.keySet().stream().map(name -> "c_" + name + " " + name).collect(Collectors.joining(", ")) + ")");
		session.execute(session.prepare("INSERT INTO types (k, " + columns + ") VALUES (0, " + String.join(", ", Collections.nCopies(values.size(), "?")) + ")")
			.bind(values.values().toArray()));
		Row row = run("SELECT " + columns + " FROM types WHERE k = 0").one();
		for (String name : values.keySet())
			same(name, row.getObject("c_" + name), values.get(name));
	}

	static void collections() {
		run("CREATE TABLE many (k int PRIMARY KEY, l list<text>, s set<int>, m map<text, bigint>, f frozen<map<int, frozen<list<text>>>>)");
		session.execute(bind("INSERT INTO many (k, l, s, m, f) VALUES (?, ?, ?, ?, ?)", 1, List.of("b", "a", "b"), Set.of(3, 1, 2),
			Map.of("x", 1L, "y", 1L << 40), Map.of(1, List.of("p", "q"))));
		run("UPDATE many SET l = l + ['z'], s = s - {1}, m['x'] = 5, m['n'] = 0 WHERE k = 1");
		same("row", cells(run("SELECT l, s, m, f FROM many WHERE k = 1")), "[b, a, b, z] [2, 3] {n=0, x=5, y=1099511627776} {1=[p, q]}");
		run("DELETE l[0], m['y'] FROM many WHERE k = 1");
		same("after", cells(run("SELECT l, m FROM many WHERE k = 1")), "[a, b, z] {n=0, x=5}");
	}

	static void counting() {
		for (long step : new long[] {5, 10, -3})
			session.execute(bind("UPDATE counts SET n = n + ? WHERE k = 'c'", step));
		same("counter", cells(run("SELECT n FROM counts WHERE k = 'c'")), "12");
	}

	static void ttl() throws Exception {
		run("INSERT INTO small (k, v) VALUES ('ttl', 1) USING TTL 2 AND TIMESTAMP 1700000000000000");
		Row row = run("SELECT ttl(v), writetime(v) FROM small WHERE k = 'ttl'").one();
		same("writetime", row.getLong(1), 1700000000000000L);
		same("ttl", row.getInt(0) == 1 || row.getInt(0) == 2, true);
		until("it expires", () -> run("SELECT * FROM small WHERE k = 'ttl'").one() == null);
	}

	static void errors() {
		within("syntax", raised(SyntaxError.class, () -> run("SELEC * FROM rows")).getMessage(), "no viable alternative at input 'SELEC'");
		within("no table", raised(InvalidQueryException.class, () -> run("SELECT * FROM nothing")).getMessage(), "table nothing does not exist");
		within("filtering", raised(InvalidQueryException.class, () -> run("SELECT * FROM rows WHERE v = 'x'")).getMessage(), "ALLOW FILTERING");
		within("exists", raised(AlreadyExistsException.class, () -> run("CREATE TABLE rows (k int PRIMARY KEY)")).getMessage(), "clients.rows");
		within("config", raised(InvalidConfigurationInQueryException.class,
			() -> run("CREATE KEYSPACE bad WITH replication = {'class': 'NoSuchStrategy'}")).getMessage(), "NoSuchStrategy");
		within("empty key", raised(InvalidQueryException.class, () -> run("INSERT INTO small (k) VALUES ('')")).getMessage(), "Key may not be empty");
	}

	static void authentication() {
		for (String user : List.of(env("CQL_USER"), "nobody")) {
			AllNodesFailedException error = raised(AllNodesFailedException.class, () -> builder(config()).withAuthCredentials(user, "wrong").build());
			List<Throwable> causes = error.getAllErrors().values().iterator().next();
			same(user, causes.get(0) instanceof AuthenticationException, true);
			within(user, causes.get(0).getMessage(), "Provided username " + user + " and/or password are incorrect");
		}
		builder(config()).build().close();
	}

	static String outcome(CqlSession plain, String query, ConsistencyLevel level) {
		try {
			plain.execute(SimpleStatement.newInstance(query).setConsistencyLevel(level).setIdempotent(true));
			return "ok";
		} catch (UnavailableException error) {
			same("level in the error", error.getConsistencyLevel(), level);
			return error.getRequired() + "/" + error.getAlive();
		} catch (InvalidQueryException error) {
			return "invalid";
		}
	}

	static void levels(String kind, String query) throws Exception {
		Matcher downs = Pattern.compile("\"(\\d)\": \\{((?:\"\\w+\": \\{[^}]*\\},? ?)+)\\}").matcher(env("CQL_LEVELS"));
		int checked = 0;
		try (CqlSession plain = builder(config().withClass(DefaultDriverOption.RETRY_POLICY_CLASS, oboxlab.OnlyBroken.class)).withKeyspace("clients").build()) {
			while (downs.find()) {
				int count = Integer.parseInt(downs.group(1));
				String levels = downs.group(2);
				away("stop", List.of(NODES).subList(3 - count, 3), () -> {
					for (DefaultConsistencyLevel level : DefaultConsistencyLevel.values()) {
						Matcher want = Pattern.compile("\"" + level + "\": \\{[^}]*\"" + kind + "\": \"([^\"]*)\"").matcher(levels);
						same("expectation for " + level, want.find(), true);
						same(level + " with " + count + " down", outcome(plain, query, level), want.group(1));
					}
				});
				checked++;
			}
		}
		same("numbers of nodes", checked, 2);
	}

	static void events() throws Exception {
		List<String> seen = Collections.synchronizedList(new ArrayList<>());
		NodeStateListener listener = new NodeStateListenerBase() {
			@Override
			public void onUp(Node node) {
				seen.add("up " + address(node));
			}

			@Override
			public void onDown(Node node) {
				seen.add("down " + address(node));
			}
		};
		try (CqlSession other = builder(config()).withKeyspace("clients").withNodeStateListener(listener).build()) {
			SimpleStatement read = SimpleStatement.newInstance("SELECT * FROM small WHERE k = 'u'").setIdempotent(true);
			until("three nodes up", () -> other.getMetadata().getNodes().values().stream().filter(node -> node.getOpenConnections() > 0).count() == 3);
			for (String how : List.of("stop", "kill")) {
				int node = how.equals("stop") ? 2 : 1;
				seen.clear();
				away(how, List.of(NODES[node]), () -> until("DOWN after " + how, () -> other.execute(read) != null && seen.contains("down " + HOSTS[node])));
				until("UP after " + how, () -> seen.contains("up " + HOSTS[node]));
			}
			for (int i = 0; i < 3; i++) {
				int node = i;
				long before = statements(i);
				until("requests to " + NODES[i] + " again", () -> other.execute(read) != null && statements(node) > before);
			}
		}
	}

	static void unprepared() throws Exception {
		String select = "SELECT v FROM small WHERE k = ?";
		run("INSERT INTO small (k, v) VALUES ('u', 42)");
		same("before", cells(session.execute(bind(select, "u"))), "42");
		away("stop", List.of(NODES[2]), () -> session.execute(bind(select, "u").setIdempotent(true)));
		for (int i = 0; i < 30; i++)
			same("after a restart", cells(session.execute(bind(select, "u").setIdempotent(true))), "42");
		long before = counter("unprepared");
		for (String node : NODES)
			act(node, "forget-prepared");
		for (int i = 0; i < 30; i++)
			same("after UNPREPARED", cells(session.execute(bind(select, "u"))), "42");
		same("answered UNPREPARED", counter("unprepared") > before, true);
	}

	static void timeouts() throws Exception {
		Node first = session.getMetadata().getNodes().values().stream().filter(node -> address(node).equals(HOSTS[0])).findFirst().get();
		SimpleStatement write = SimpleStatement.newInstance("INSERT INTO small (k, v) VALUES ('w', 1)").setConsistencyLevel(ConsistencyLevel.ALL).setNode(first);
		SimpleStatement read = SimpleStatement.newInstance("SELECT v FROM small WHERE k = 'w'").setConsistencyLevel(ConsistencyLevel.ALL).setNode(first);
		away("freeze", List.of(NODES[1]), () -> {
			WriteTimeoutException late = raised(WriteTimeoutException.class, () -> session.execute(write));
			same("write", List.of(late.getReceived(), late.getBlockFor(), late.getWriteType()), List.of(2, 3, DefaultWriteType.SIMPLE));
			ReadTimeoutException slow = raised(ReadTimeoutException.class, () -> session.execute(read));
			same("read", List.of(slow.getReceived(), slow.getBlockFor()), List.of(2, 3));
		});
		same("written all the same", cells(session.execute(read)), "1");
		away("freeze", List.of(NODES[0]), () -> raised(DriverTimeoutException.class, () -> session.execute(read.setTimeout(Duration.ofMillis(300)))));
	}

	static void speculative() throws Exception {
		ProgrammaticDriverConfigLoaderBuilder config = config()
			.withClass(DefaultDriverOption.SPECULATIVE_EXECUTION_POLICY_CLASS, com.datastax.oss.driver.internal.core.specex.ConstantSpeculativeExecutionPolicy.class)
			.withInt(DefaultDriverOption.SPECULATIVE_EXECUTION_MAX, 3)
			.withDuration(DefaultDriverOption.SPECULATIVE_EXECUTION_DELAY, Duration.ofMillis(50));
		try (CqlSession fast = builder(config).withKeyspace("clients").build()) {
			SimpleStatement read = SimpleStatement.newInstance("SELECT v FROM small WHERE k = 'u'").setIdempotent(true).setConsistencyLevel(ConsistencyLevel.ONE);
			until("three pools", () -> fast.getMetadata().getNodes().values().stream().filter(node -> node.getOpenConnections() > 0).count() == 3);
			for (int i = 0; i < 100; i++)
				fast.execute(read);
			long before = statements(2);
			away("freeze", List.of(NODES[2]), () -> {
				for (int i = 0; i < 15; i++) {
					long start = System.nanoTime();
					same("row", cells(fast.execute(read)), "42");
					same("ms, as long as without", (System.nanoTime() - start) / 1_000_000 > 2000, false);
				}
			});
			until("what the frozen node had got", () -> statements(2) >= before + 3);
		}
	}

	static void tracing() {
		ExecutionInfo info = session.execute(SimpleStatement.newInstance("SELECT * FROM small WHERE k = 'u'").setTracing(true)).getExecutionInfo();
		same("an id", info.getTracingId() != null, true);
	}

	public static void main(String[] args) throws Exception {
		session = builder(config()).build();
		check("protocol version", Client::version);
		check("three nodes", Client::threeNodes);
		check("DDL and metadata", Client::ddl);
		check("requests spread", Client::spread);
		check("token-aware routing", Client::tokenAware);
		check("prepare", Client::prepare);
		check("paging", Client::paging);
		check("batches", Client::batches);
		check("LWT", Client::lwt);
		check("static columns", Client::statics);
		check("simple types", Client::simpleTypes);
		check("collections", Client::collections);
		check("counters", Client::counting);
		check("TTL and writetime", Client::ttl);
		check("errors", Client::errors);
		check("authentication", Client::authentication);
		check("read levels, nodes down", () -> levels("read", "SELECT * FROM small WHERE k = 'u'"));
		check("write levels, nodes down", () -> levels("write", "INSERT INTO small (k, v) VALUES ('u', 42)"));
		check("events and reconnection", Client::events);
		check("UNPREPARED", Client::unprepared);
		check("timeouts", Client::timeouts);
		check("speculative execution", Client::speculative);
		check("tracing", Client::tracing);
		session.close();
		System.exit(failed ? 1 : 0);
	}
}
