//! Real servers: started, stopped, killed, left over.
#![expect(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise, too")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use local_redis::{LocalRedis, LocalRedisError, Options, Transport};
use tempfile::TempDir;

/// Sends one inline command and returns the answer's first line.
fn command(redis: &LocalRedis, text: &str) -> String {
    fn exchange(mut stream: impl Read + Write, text: &str) -> String {
        stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next().unwrap().unwrap();
        if first.starts_with('$') && first != "$-1" { lines.next().unwrap().unwrap() } else { first }
    }
    if let Some(address) = redis.url().strip_prefix("redis://") {
        exchange(TcpStream::connect(address).unwrap(), text)
    } else {
        let path = redis.url().strip_prefix("redis+unix://").unwrap();
        exchange(UnixStream::connect(path).unwrap(), text)
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_alive(pid: u32) -> bool {
    // A zombie that its parent did not wait for is no live process.
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}

#[test]
fn a_stopped_server_leaves_its_data_and_no_process() {
    let dir = TempDir::new().unwrap();
    let redis = LocalRedis::start(Options::in_dir(dir.path())).unwrap();
    assert_eq!(command(&redis, "SET greeting hello"), "+OK");
    let pid = redis.pid().unwrap();
    redis.stop().unwrap();
    assert!(!is_alive(pid));

    let redis = LocalRedis::start(Options::in_dir(dir.path())).unwrap();
    assert_eq!(command(&redis, "GET greeting"), "hello");
}

#[test]
fn a_killed_server_comes_back_with_its_data_at_the_same_address() {
    for transport in [Transport::Tcp, Transport::UnixSocket] {
        let mut redis = LocalRedis::start(Options { transport, ..Options::default() }).unwrap();
        let url = redis.url().to_owned();
        assert_eq!(command(&redis, "SET greeting hello"), "+OK");
        redis.kill().unwrap();
        assert_eq!(redis.pid(), None);
        redis.restart().unwrap();
        assert_eq!(redis.url(), url);
        assert_eq!(command(&redis, "GET greeting"), "hello");
    }
}

#[test]
fn servers_run_beside_each_other_without_sharing_anything() {
    let first = LocalRedis::start(Options::default()).unwrap();
    let second = LocalRedis::start(Options::default()).unwrap();
    assert_ne!(first.url(), second.url());
    assert_eq!(command(&first, "SET key first"), "+OK");
    assert_eq!(command(&second, "GET key"), "$-1");
}

#[test]
fn a_temporary_folder_goes_with_its_server() {
    let redis = LocalRedis::start(Options::default()).unwrap();
    let (dir, pid) = (redis.dir().to_owned(), redis.pid().unwrap());
    assert!(dir.exists());
    drop(redis);
    assert!(!dir.exists());
    assert!(!is_alive(pid));
}

#[test]
fn without_append_only_nothing_is_kept() {
    let mut redis = LocalRedis::start(Options { append_only: false, ..Options::default() }).unwrap();
    assert_eq!(command(&redis, "SET key value"), "+OK");
    redis.restart().unwrap();
    assert_eq!(command(&redis, "GET key"), "$-1");
}

#[test]
fn a_folder_with_spaces_and_quotes_serves_over_a_socket() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("a \"b\" c");
    let options = Options { transport: Transport::UnixSocket, ..Options::in_dir(&dir) };
    let redis = LocalRedis::start(options).unwrap();
    assert!(redis.url().ends_with("/a%20%22b%22%20c/redis.sock"), "{}", redis.url());
    let mut stream = UnixStream::connect(dir.join("redis.sock")).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG");
}

#[test]
fn a_folder_in_use_is_refused_and_left_alone() {
    let first = LocalRedis::start(Options::default()).unwrap();
    let error = LocalRedis::start(Options::in_dir(first.dir())).err().unwrap();
    assert!(matches!(&error, LocalRedisError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(first.dir().to_str().unwrap()), "{error}");
    assert_eq!(command(&first, "PING"), "+PONG");
}

#[test]
fn a_failed_start_shows_the_log() {
    let options = Options { config: vec!["loadmodule /nowhere.so".to_owned()], ..Options::default() };
    let error = LocalRedis::start(options).err().unwrap();
    assert!(matches!(&error, LocalRedisError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("/nowhere.so"), "{error}");
}

const HELD_DIR: &str = "LOCAL_REDIS_TEST_HELD_DIR";

/// Not a test of its own: what the processes run that [`owner_of`] starts and that get killed.
#[test]
fn hold_a_server_until_killed() {
    let Some(dir) = std::env::var_os(HELD_DIR) else { return };
    let redis = LocalRedis::start(Options::in_dir(dir)).unwrap();
    println!("\nready {} {}", redis.url(), redis.pid().unwrap());
    std::thread::sleep(Duration::from_secs(600));
}

/// A process that owns a server in `dir`, and that server's process id.
fn owner_of(dir: &Path) -> (Child, u32) {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hold_a_server_until_killed", "--nocapture"])
        .env(HELD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines().map(Result::unwrap);
    let ready = lines.find(|line| line.starts_with("ready ")).unwrap();
    (owner, ready.rsplit(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_server_ends_when_its_owner_is_killed() {
    let dir = TempDir::new().unwrap();
    let (mut owner, server) = owner_of(dir.path());
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("the server outlived its owner", || !is_alive(server));
}

/// The watcher: the shell whose arguments end with the server's id.
fn watcher_of(server: u32) -> u32 {
    let wanted = format!("downpour-redis-watcher\0{server}\0");
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .find(|pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(&wanted))
        })
        .unwrap()
}

#[test]
fn the_next_start_stops_a_server_left_over_and_keeps_its_data() {
    let dir = TempDir::new().unwrap();
    let (mut owner, server) = owner_of(dir.path());
    for pid in [watcher_of(server), owner.id()] {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    owner.wait().unwrap();
    assert!(is_alive(server));

    let config = std::fs::read_to_string(dir.path().join("redis.conf")).unwrap();
    let port = config.lines().find_map(|line| line.strip_prefix("port ")).unwrap();
    let mut left_over = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    left_over.write_all(b"SET greeting hello\r\n").unwrap();
    let mut answer = [0; 5];
    left_over.read_exact(&mut answer).unwrap();

    let redis = LocalRedis::start(Options::in_dir(dir.path())).unwrap();
    assert!(!is_alive(server));
    assert_eq!(command(&redis, "GET greeting"), "hello");
}
