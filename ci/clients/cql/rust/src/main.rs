// SPDX-License-Identifier: Apache-2.0

//! ScyllaDB's driver. CQL_COMPRESSION: lz4, snappy, or nothing.

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::client::Compression;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::response::PagingState;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::unprepared::Statement;
use scylla::statement::{Consistency, SerialConsistency};
use scylla::value::{Counter, CqlValue, Row};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Outcome = Result<(), String>;

const NODES: [&str; 3] = ["cassandra-1", "cassandra-2", "cassandra-3"];
const ROWS: i32 = 10000;

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn hosts() -> Vec<String> {
    env("CQL_HOSTS").split(',').map(String::from).collect()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Outcome {
    if got == want {
        return Ok(());
    }
    Err(format!("{what}: {got:?} instead of {want:?}"))
}

fn within(what: &str, text: &str, want: &str) -> Outcome {
    if text.contains(want) {
        return Ok(());
    }
    Err(format!("{what}: no {want} in {text}"))
}

fn text<E: std::fmt::Debug>(error: E) -> String {
    format!("{error:?}")
}

/* ---- the admin interface: a little HTTP and less JSON ---- */

fn admin(method: &str, path: &str) -> Result<String, String> {
    let address = env("CQL_ADMIN").replace("http://", "");
    let mut stream = TcpStream::connect(&address).map_err(text)?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").map_err(text)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(text)?;
    within(path, &answer, "HTTP/1.1 200")?;
    Ok(answer)
}

/// What stands behind "name": as a number.
fn number(part: &str, name: &str) -> Result<i64, String> {
    let pattern = format!("\"{name}\":");
    let at = part.find(&pattern).ok_or(format!("no {name} in {part}"))? + pattern.len();
    let digits: String = part[at..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().map_err(text)
}

fn nodes() -> Result<Vec<String>, String> {
    Ok(admin("GET", "/nodes")?.split("{\"name\":").skip(1).map(String::from).collect())
}

fn numbers(name: &str) -> Result<Vec<i64>, String> {
    nodes()?.iter().map(|node| number(node, name)).collect()
}

fn counter(name: &str) -> Result<i64, String> {
    number(&admin("GET", "/counters")?, name)
}

fn act(node: &str, action: &str) -> Outcome {
    admin("POST", &format!("/nodes?name={node}&do={action}")).map(|_| ())
}

async fn until<F: Future<Output = Result<bool, String>>>(what: &str, mut condition: impl FnMut() -> F) -> Outcome {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition().await? {
        if Instant::now() > end {
            return Err(format!("{what}: not within 20 s"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn all_up() -> Outcome {
    for (name, node) in NODES.iter().zip(nodes()?) {
        if node.contains("\"state\":\"frozen\"") {
            act(name, "thaw")?;
        } else if node.contains("\"state\":\"down\"") {
            act(name, "start")?;
        }
    }
    until("all nodes up", || async {
        Ok(nodes()?.iter().all(|node| node.split("seen_up_by").nth(1).is_some_and(|seen| {
            seen.split(']').next().unwrap_or("").matches("cassandra-").count() == 2
        })))
    })
    .await
}

async fn away<T>(how: &str, which: &[&str], run: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    for node in which {
        act(node, how)?;
    }
    let result = run.await;
    all_up().await?;
    result
}

/* ---- sessions ---- */

fn builder(user: &str, password: &str) -> SessionBuilder {
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .request_timeout(Some(Duration::from_secs(10)))
        .build();
    let compression = match env("CQL_COMPRESSION").as_str() {
        "lz4" => Some(Compression::Lz4),
        "snappy" => Some(Compression::Snappy),
        _ => None,
    };
    SessionBuilder::new()
        .known_node(format!("{}:{}", hosts()[0], env("CQL_PORT")))
        .user(user, password)
        .compression(compression)
        .connection_timeout(Duration::from_secs(10))
        .keepalive_interval(Duration::from_secs(1))
        .cluster_metadata_refresh_interval(Duration::from_secs(2))
        .default_execution_profile_handle(profile.into_handle())
}

async fn open() -> Result<Session, String> {
    builder(&env("CQL_USER"), &env("CQL_PASSWORD")).build().await.map_err(text)
}

async fn run(session: &Session, query: &str) -> Result<Vec<Row>, String> {
    let result = session.query_unpaged(query, &[]).await.map_err(text)?;
    if !result.is_rows() {
        return Ok(vec![]);
    }
    let rows = result.into_rows_result().map_err(text)?;
    let all = rows.rows::<Row>().map_err(text)?.collect::<Result<Vec<_>, _>>();
    all.map_err(text)
}

/// "1 one, 2 -": values as Rust shows them.
async fn cells(session: &Session, query: &str) -> Result<String, String> {
    let rows = run(session, query).await?;
    Ok(rows.iter().map(shown).collect::<Vec<_>>().join(", "))
}

fn shown(row: &Row) -> String {
    let values = row.columns.iter().map(|value| match value {
        None => "-".to_string(),
        Some(CqlValue::Text(text)) => text.clone(),
        Some(CqlValue::Int(n)) => n.to_string(),
        Some(CqlValue::BigInt(n)) => n.to_string(),
        Some(CqlValue::Boolean(b)) => b.to_string(),
        Some(CqlValue::Counter(Counter(n))) => n.to_string(),
        Some(CqlValue::Inet(address)) => address.to_string(),
        Some(other) => format!("{other:?}"),
    });
    values.collect::<Vec<_>>().join(" ")
}

fn db_error(result: Result<impl Sized, ExecutionError>) -> Result<(DbError, String), String> {
    match result {
        Ok(_) => Err("no error".to_string()),
        Err(ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, message))) => Ok((error, message)),
        Err(other) => Err(text(other)),
    }
}

/* ---- the checks ---- */

async fn three_nodes(s: &Session) -> Outcome {
    until("three nodes", || async { Ok(s.get_cluster_state().get_nodes_info().iter().filter(|node| node.is_connected()).count() == 3) }).await?;
    let state = s.get_cluster_state();
    let info = state.get_nodes_info();
    let mut addresses: Vec<String> = info.iter().map(|node| node.address.ip().to_string()).collect();
    addresses.sort();
    same("addresses", addresses, hosts())?;
    same("data centres", info.iter().all(|node| node.datacenter == Some(env("CQL_DC"))), true)?;
    let racks: BTreeSet<_> = info.iter().filter_map(|node| node.rack.clone()).collect();
    same("racks", racks.into_iter().collect::<Vec<_>>().join(" "), "r1 r2 r3".to_string())?;
    same("host ids", info.iter().map(|node| node.host_id).collect::<BTreeSet<_>>().len(), 3)
}

async fn ddl(s: &Session) -> Outcome {
    for (keyspace, replicas) in [("clients", 3), ("single", 1)] {
        run(s, &format!("CREATE KEYSPACE {keyspace} WITH replication = {{'class': 'NetworkTopologyStrategy', '{}': {replicas}}}", env("CQL_DC"))).await?;
    }
    s.use_keyspace("clients", false).await.map_err(text)?;
    for table in ["rows (p int, c int, v text, PRIMARY KEY (p, c)) WITH CLUSTERING ORDER BY (c DESC)",
        "single.rows (k int PRIMARY KEY, v text)", "small (k text PRIMARY KEY, v int)", "counts (k text PRIMARY KEY, n counter)",
        "fixed (p int, c int, s text STATIC, v text, PRIMARY KEY (p, c))"] {
        run(s, &format!("CREATE TABLE {table}")).await?;
        s.await_schema_agreement().await.map_err(text)?;
    }
    s.refresh_metadata().await.map_err(text)?;
    let state = s.get_cluster_state();
    let keyspace = state.get_keyspace("clients").ok_or("no keyspace")?;
    let table = keyspace.tables.get("rows").ok_or("no table")?;
    same("partition key", table.partition_key.clone(), vec!["p".to_string()])?;
    same("clustering key", table.clustering_key.clone(), vec!["c".to_string()])?;
    let columns: BTreeMap<_, _> = table.columns.iter().map(|(name, column)| (name.clone(), text(&column.typ))).collect();
    same("columns", text(columns), r#"{"c": "Native(Int)", "p": "Native(Int)", "v": "Native(Text)"}"#.to_string())?;
    within("replication", &text(&keyspace.strategy), "NetworkTopologyStrategy")?;
    run(s, "ALTER TABLE small ADD extra list<int>").await?;
    s.refresh_metadata().await.map_err(text)?;
    same("ALTER", s.get_cluster_state().get_keyspace("clients").is_some_and(|k| k.tables["small"].columns.contains_key("extra")), true)?;
    run(s, "ALTER TABLE small DROP extra").await.map(|_| ())
}

async fn spread(s: &Session) -> Outcome {
    let before = numbers("statements")?;
    let mut answers: HashMap<String, i64> = HashMap::new();
    for _ in 0..300 {
        *answers.entry(cells(s, "SELECT rpc_address FROM system.local").await?).or_default() += 1;
    }
    let after = numbers("statements")?;
    for (i, host) in hosts().iter().enumerate() {
        let count = answers.get(host).copied().unwrap_or(0);
        if count < 60 || after[i] - before[i] < count {
            return Err(format!("{host} gave {count} of 300 answers, counted {}", after[i] - before[i]));
        }
    }
    Ok(())
}

async fn token_aware(s: &Session) -> Outcome {
    let mut insert = s.prepare("INSERT INTO single.rows (k, v) VALUES (?, 'x')").await.map_err(text)?;
    insert.set_consistency(Consistency::One);
    for k in 0..40 {
        let (asked, had) = (numbers("statements")?, numbers("rows")?);
        s.execute_unpaged(&insert, (k,)).await.map_err(text)?;
        let (now, has) = (numbers("statements")?, numbers("rows")?);
        let owners: Vec<usize> = (0..3).filter(|&i| has[i] > had[i]).collect();
        same("replicas of a row", owners.len(), 1)?;
        if now[owners[0]] == asked[owners[0]] {
            return Err(format!("key {k} is on {}, which was not asked", NODES[owners[0]]));
        }
    }
    Ok(())
}

async fn prepare(s: &Session) -> Outcome {
    let insert = s.prepare("INSERT INTO rows (p, c, v) VALUES (?, ?, ?)").await.map_err(text)?;
    s.execute_unpaged(&insert, (1, 1, "one")).await.map_err(text)?;
    s.execute_unpaged(&insert, (1, 2, None::<&str>)).await.map_err(text)?;
    s.execute_unpaged(&insert, (1, 1, scylla::value::MaybeUnset::Unset::<&str>)).await.map_err(text)?;
    let names: Vec<_> = insert.get_variable_col_specs().iter().map(|spec| spec.name().to_string()).collect();
    same("parameters", names.join(" "), "p c v".to_string())?;
    same("rows, unset kept", cells(s, "SELECT c, v FROM rows WHERE p = 1").await?, "2 -, 1 one".to_string())?;
    let error = s.prepare("SELECT nothing FROM rows").await.err().map(text).unwrap_or_default();
    within("error", &error, "Undefined column name nothing")
}

async fn paging(s: &Session) -> Outcome {
    let insert = s.prepare("INSERT INTO rows (p, c, v) VALUES (100, ?, 'v')").await.map_err(text)?;
    for first in (0..ROWS).step_by(100) {
        let some = (first..first + 100).map(|c| s.execute_unpaged(&insert, (c,)));
        futures::future::try_join_all(some).await.map_err(text)?;
    }
    for size in [5000, 777] {
        let mut select = s.prepare("SELECT c FROM rows WHERE p = ?").await.map_err(text)?;
        select.set_page_size(size);
        let (mut sum, mut pages, mut last, mut state) = (0i64, 0, ROWS, PagingState::start());
        loop {
            let (result, next) = s.execute_single_page(&select, (100,), state).await.map_err(text)?;
            pages += 1;
            for row in result.into_rows_result().map_err(text)?.rows::<(i32,)>().map_err(text)? {
                let (c,) = row.map_err(text)?;
                same("order", c, last - 1)?;
                last = c;
                sum += i64::from(c);
            }
            match next.into_paging_control_flow() {
                ControlFlow::Break(()) => break,
                ControlFlow::Continue(next) => state = next,
            }
        }
        same("sum", sum, i64::from(ROWS) * i64::from(ROWS - 1) / 2)?;
        same("pages", pages, ROWS / size + 1)?;
    }
    same("count", cells(s, "SELECT count(*) FROM rows WHERE p = 100").await?, ROWS.to_string())
}

async fn batches(s: &Session) -> Outcome {
    for (kind, name) in [(BatchType::Logged, "l"), (BatchType::Unlogged, "u")] {
        let mut batch = Batch::new(kind);
        let mut values = vec![];
        for i in 0..5 {
            batch.append_statement("INSERT INTO small (k, v) VALUES (?, ?)");
            values.push((format!("{name}-{i}"), i));
        }
        s.batch(&batch, &values).await.map_err(text)?;
        let query = format!("SELECT v FROM small WHERE k IN ('{name}-0', '{name}-1', '{name}-2', '{name}-3', '{name}-4')");
        same(name, cells(s, &query).await?, "0, 1, 2, 3, 4".to_string())?;
    }
    let mut batch = Batch::new(BatchType::Counter);
    for _ in 0..3 {
        batch.append_statement("UPDATE counts SET n = n + 2 WHERE k = ?");
    }
    s.batch(&batch, (("a",), ("b",), ("a",))).await.map_err(text)?;
    same("counters", cells(s, "SELECT n FROM counts WHERE k IN ('a', 'b')").await?, "4, 2".to_string())?;
    let mut batch = Batch::new(BatchType::Logged);
    batch.append_statement("UPDATE counts SET n = n + 1 WHERE k = 'a'");
    same("class", matches!(db_error(s.batch(&batch, ((),)).await)?.0, DbError::Invalid), true)
}

async fn lwt(s: &Session) -> Outcome {
    same("first", cells(s, "INSERT INTO small (k, v) VALUES ('l', 1) IF NOT EXISTS").await?, "true".to_string())?;
    same("second", cells(s, "INSERT INTO small (k, v) VALUES ('l', 2) IF NOT EXISTS").await?, "false l 1".to_string())?;
    same("not applied", cells(s, "UPDATE small SET v = 3 WHERE k = 'l' IF v = 7").await?, "false 1".to_string())?;
    same("applied", cells(s, "UPDATE small SET v = 3 WHERE k = 'l' IF v = 1").await?, "true".to_string())?;
    let mut delete = Statement::new("DELETE FROM small WHERE k = 'l' IF EXISTS");
    delete.set_serial_consistency(Some(SerialConsistency::LocalSerial));
    let rows = s.query_unpaged(delete, &[]).await.map_err(text)?.into_rows_result().map_err(text)?;
    same("deleted", rows.first_row::<(bool,)>().map_err(text)?, (true,))
}

async fn statics(s: &Session) -> Outcome {
    run(s, "INSERT INTO fixed (p, c, v) VALUES (1, 1, 'a')").await?;
    run(s, "INSERT INTO fixed (p, c, s, v) VALUES (1, 2, 'shared', 'b')").await?;
    same("rows", cells(s, "SELECT c, s, v FROM fixed WHERE p = 1").await?, "1 shared a, 2 shared b".to_string())?;
    run(s, "UPDATE fixed SET s = 'other' WHERE p = 2").await?;
    same("alone", cells(s, "SELECT p, c, s FROM fixed WHERE p = 2").await?, "2 - other".to_string())
}

async fn simple_types(s: &Session) -> Outcome {
    run(s, "CREATE TABLE types (k int PRIMARY KEY, a bigint, b blob, c boolean, d double, f float, i inet, m smallint, t text, y tinyint)").await?;
    let insert = s.prepare("INSERT INTO types (k, a, b, c, d, f, i, m, t, y) VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?, ?)").await.map_err(text)?;
    let address: IpAddr = "2001:db8::1".parse().map_err(text)?;
    let values = (i64::MIN, vec![0u8, 255], true, 0.1f64, 0.5f32, address, i16::MIN, "\u{fc}\u{6f22}\u{1f600}".to_string(), i8::MIN);
    s.execute_unpaged(&insert, values.clone()).await.map_err(text)?;
    let rows = s.query_unpaged("SELECT a, b, c, d, f, i, m, t, y FROM types", &[]).await.map_err(text)?.into_rows_result().map_err(text)?;
    same("row", rows.first_row::<(i64, Vec<u8>, bool, f64, f32, IpAddr, i16, String, i8)>().map_err(text)?, values)
}

async fn collections(s: &Session) -> Outcome {
    run(s, "CREATE TABLE many (k int PRIMARY KEY, l list<text>, s set<int>, m map<text, bigint>)").await?;
    let insert = s.prepare("INSERT INTO many (k, l, s, m) VALUES (1, ?, ?, ?)").await.map_err(text)?;
    s.execute_unpaged(&insert, (vec!["b", "a", "b"], BTreeSet::from([3, 1, 2]), BTreeMap::from([("x", 1i64), ("y", 1 << 40)]))).await.map_err(text)?;
    run(s, "UPDATE many SET l = l + ['z'], s = s - {1}, m['x'] = 5, m['n'] = 0 WHERE k = 1").await?;
    let rows = s.query_unpaged("SELECT l, s, m FROM many", &[]).await.map_err(text)?.into_rows_result().map_err(text)?;
    let (l, set, m) = rows.first_row::<(Vec<String>, BTreeSet<i32>, BTreeMap<String, i64>)>().map_err(text)?;
    same("row", format!("{l:?} {set:?} {m:?}"), r#"["b", "a", "b", "z"] {2, 3} {"n": 0, "x": 5, "y": 1099511627776}"#.to_string())
}

async fn counting(s: &Session) -> Outcome {
    let update = s.prepare("UPDATE counts SET n = n + ? WHERE k = 'c'").await.map_err(text)?;
    for step in [5, 10, -3] {
        s.execute_unpaged(&update, (Counter(step),)).await.map_err(text)?;
    }
    same("counter", cells(s, "SELECT n FROM counts WHERE k = 'c'").await?, "12".to_string())
}

async fn ttl(s: &Session) -> Outcome {
    run(s, "INSERT INTO small (k, v) VALUES ('ttl', 1) USING TTL 2 AND TIMESTAMP 1700000000000000").await?;
    let got = cells(s, "SELECT ttl(v), writetime(v) FROM small WHERE k = 'ttl'").await?;
    same(&got, got == "2 1700000000000000" || got == "1 1700000000000000", true)?;
    until("it expires", || async { Ok(run(s, "SELECT * FROM small WHERE k = 'ttl'").await?.is_empty()) }).await
}

async fn errors(s: &Session) -> Outcome {
    for (query, class, part) in [("SELEC * FROM rows", "SyntaxError", "no viable alternative at input 'SELEC'"),
        ("SELECT * FROM nothing", "Invalid", "table nothing does not exist"), ("SELECT * FROM rows WHERE v = 'x'", "Invalid", "ALLOW FILTERING"),
        ("CREATE TABLE rows (k int PRIMARY KEY)", "AlreadyExists { keyspace: \"clients\", table: \"rows\" }", "already exist"),
        ("CREATE KEYSPACE bad WITH replication = {'class': 'NoSuchStrategy'}", "ConfigError", "NoSuchStrategy")] {
        let (error, message) = db_error(s.query_unpaged(query, &[]).await)?;
        same(query, text(error), class.to_string())?;
        within(query, &message, part)?;
    }
    Ok(())
}

async fn authentication() -> Outcome {
    for user in [env("CQL_USER"), "nobody".to_string()] {
        let error = builder(&user, "wrong").build().await.err().map(text).unwrap_or_default();
        within(&user, &error, &format!("Provided username {user} and/or password are incorrect"))?;
    }
    open().await.map(|_| ())
}

async fn outcome(s: &Session, query: &str, level: Consistency) -> Result<String, String> {
    let mut statement = Statement::new(query);
    statement.set_consistency(level);
    statement.set_is_idempotent(true);
    match s.query_unpaged(statement, &[]).await {
        Ok(_) => Ok("ok".to_string()),
        Err(ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Unavailable { consistency, required, alive }, _))) => {
            same("level in the error", consistency, level)?;
            Ok(format!("{required}/{alive}"))
        }
        Err(ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Invalid, _))) => Ok("invalid".to_string()),
        Err(other) => Err(text(other)),
    }
}

/// What stands in CQL_LEVELS: {"1": {"ANY": {"read": "invalid", "write": "ok"}, ...}, "2": ...}
fn expected(down: usize, level: &str, kind: &str) -> Result<String, String> {
    let table = env("CQL_LEVELS");
    let part = table.split("\"2\": {").nth(down - 1).ok_or("no table")?;
    let part = part.split(&format!("\"{level}\": {{")).nth(1).ok_or(format!("no {level}"))?;
    let part = part.split(&format!("\"{kind}\": \"")).nth(1).ok_or(format!("no {kind}"))?;
    Ok(part.split('"').next().unwrap_or("").to_string())
}

async fn levels(kind: &str, query: &str) -> Outcome {
    let profile = ExecutionProfile::builder().retry_policy(Arc::new(FallthroughRetryPolicy::new())).request_timeout(Some(Duration::from_secs(10))).build();
    for down in [1, 2] {
        away("stop", &NODES[3 - down..], async {
            // A new session knows no connections that are broken.
            let plain = builder(&env("CQL_USER"), &env("CQL_PASSWORD")).default_execution_profile_handle(profile.clone().into_handle())
                .use_keyspace("clients", false).build().await.map_err(text)?;
            for (name, level) in [("ANY", Consistency::Any), ("ONE", Consistency::One), ("TWO", Consistency::Two), ("THREE", Consistency::Three),
                ("QUORUM", Consistency::Quorum), ("ALL", Consistency::All), ("LOCAL_QUORUM", Consistency::LocalQuorum),
                ("EACH_QUORUM", Consistency::EachQuorum), ("SERIAL", Consistency::Serial), ("LOCAL_SERIAL", Consistency::LocalSerial),
                ("LOCAL_ONE", Consistency::LocalOne)] {
                same(&format!("{name} with {down} down"), outcome(&plain, query, level).await?, expected(down, name, kind)?)?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

fn connected(s: &Session, host: &str) -> bool {
    s.get_cluster_state().get_nodes_info().iter().any(|node| node.address.ip().to_string() == host && node.is_connected())
}

async fn events(s: &Session) -> Outcome {
    for (how, i) in [("stop", 2), ("kill", 1)] {
        let host = &hosts()[i];
        until("connected", || async { Ok(connected(s, host)) }).await?;
        away(how, &NODES[i..=i], until("DOWN", || async { Ok(!connected(s, host)) })).await?;
        until("UP", || async { Ok(connected(s, host)) }).await?;
    }
    for i in 0..3 {
        let before = numbers("statements")?[i];
        until("requests again", || async {
            run(s, "SELECT * FROM small WHERE k = 'u'").await?;
            Ok(numbers("statements")?[i] > before)
        })
        .await?;
    }
    Ok(())
}

async fn unprepared(s: &Session) -> Outcome {
    run(s, "INSERT INTO small (k, v) VALUES ('u', 42)").await?;
    let select = s.prepare("SELECT v FROM small WHERE k = ?").await.map_err(text)?;
    let read = || async {
        let rows = s.execute_unpaged(&select, ("u",)).await.map_err(text)?.into_rows_result().map_err(text)?;
        same("row", rows.first_row::<(i32,)>().map_err(text)?, (42,))
    };
    away("stop", &NODES[2..], async { Ok(()) }).await?;
    until("connected", || async { Ok(connected(s, &hosts()[2])) }).await?;
    for _ in 0..30 {
        read().await?;
    }
    let before = counter("unprepared")?;
    for node in NODES {
        act(node, "forget-prepared")?;
    }
    for _ in 0..30 {
        read().await?;
    }
    same("answered UNPREPARED", counter("unprepared")? > before, true)
}

async fn timeouts(s: &Session) -> Outcome {
    let first: SocketAddr = format!("{}:{}", hosts()[0], env("CQL_PORT")).parse().map_err(text)?;
    let only = SingleTargetLoadBalancingPolicy::new(NodeIdentifier::NodeAddress(first), None);
    let statement = |query: &str| {
        let mut one = Statement::new(query);
        one.set_consistency(Consistency::All);
        one.set_retry_policy(Some(Arc::new(FallthroughRetryPolicy::new())));
        one.set_load_balancing_policy(Some(only.clone()));
        one
    };
    let read = statement("SELECT v FROM small WHERE k = 'w'");
    away("freeze", &NODES[1..2], async {
        let (error, _) = db_error(s.query_unpaged(statement("INSERT INTO small (k, v) VALUES ('w', 1)"), &[]).await)?;
        within("write", &text(error), "WriteTimeout { consistency: All, received: 2, required: 3, write_type: Simple }")?;
        let (error, _) = db_error(s.query_unpaged(read.clone(), &[]).await)?;
        within("read", &text(error), "ReadTimeout { consistency: All, received: 2, required: 3")
    })
    .await?;
    let rows = s.query_unpaged(read.clone(), &[]).await.map_err(text)?.into_rows_result().map_err(text)?;
    same("written all the same", rows.first_row::<(i32,)>().map_err(text)?, (1,))?;
    away("freeze", &NODES[..1], async {
        let mut slow = read.clone();
        slow.set_request_timeout(Some(Duration::from_millis(300)));
        let error = s.query_unpaged(slow, &[]).await.err().map(text).unwrap_or_default();
        within("frozen", &error, "RequestTimeout")
    })
    .await
}

async fn speculative(s: &Session) -> Outcome {
    let policy = SimpleSpeculativeExecutionPolicy { max_retry_count: 2, retry_interval: Duration::from_millis(50) };
    let profile = ExecutionProfile::builder().consistency(Consistency::One).request_timeout(Some(Duration::from_secs(10)))
        .speculative_execution_policy(Some(Arc::new(policy))).build();
    let mut read = Statement::new("SELECT v FROM small WHERE k = 'u'");
    read.set_is_idempotent(true);
    read.set_execution_profile_handle(Some(profile.into_handle()));
    until("connected", || async { Ok(hosts().iter().all(|host| connected(s, host))) }).await?;
    let before = numbers("statements")?[2];
    away("freeze", &NODES[2..], async {
        for _ in 0..15 {
            let start = Instant::now();
            let rows = s.query_unpaged(read.clone(), &[]).await.map_err(text)?.into_rows_result().map_err(text)?;
            same("row", rows.first_row::<(i32,)>().map_err(text)?, (42,))?;
            same("as long as without", start.elapsed() > Duration::from_secs(2), false)?;
        }
        Ok(())
    })
    .await?;
    until("what the frozen node had got", || async { Ok(numbers("statements")?[2] >= before + 3) }).await
}

async fn check(name: &str, run: impl Future<Output = Outcome>) -> bool {
    let result = run.await;
    match &result {
        Ok(()) => println!("ok\t{name}\t"),
        Err(why) => println!("FAIL\t{name}\t{}", why.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect::<String>()),
    }
    result.is_ok()
}

#[tokio::main]
async fn main() {
    let s = open().await.expect("a session");
    let mut ok = check("three nodes", three_nodes(&s)).await;
    ok &= check("DDL and metadata", ddl(&s)).await;
    ok &= check("requests spread", spread(&s)).await;
    ok &= check("token-aware routing", token_aware(&s)).await;
    ok &= check("prepare", prepare(&s)).await;
    ok &= check("paging", paging(&s)).await;
    ok &= check("batches", batches(&s)).await;
    ok &= check("LWT", lwt(&s)).await;
    ok &= check("static columns", statics(&s)).await;
    ok &= check("simple types", simple_types(&s)).await;
    ok &= check("collections", collections(&s)).await;
    ok &= check("counters", counting(&s)).await;
    ok &= check("TTL and writetime", ttl(&s)).await;
    ok &= check("errors", errors(&s)).await;
    ok &= check("authentication", authentication()).await;
    ok &= check("read levels, nodes down", levels("read", "SELECT * FROM small WHERE k = 'u'")).await;
    ok &= check("write levels, nodes down", levels("write", "INSERT INTO small (k, v) VALUES ('u', 42)")).await;
    ok &= check("events and reconnection", events(&s)).await;
    ok &= check("UNPREPARED", unprepared(&s)).await;
    ok &= check("timeouts", timeouts(&s)).await;
    ok &= check("speculative execution", speculative(&s)).await;
    std::process::exit(if ok { 0 } else { 1 });
}
