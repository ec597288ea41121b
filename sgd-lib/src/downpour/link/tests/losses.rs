//! A Redis that comes back without its last writes, which somebody has pushed, and somebody else read.

use local_redis::{LocalRedis, Options};

use super::*;
use crate::store::RedisStore;

fn fetched(end: &mut FarEnd) -> Result<Reply, LogError> {
    // A stream that was not known is read with the next request.
    end.answer(Request { fetch: true, sum: vec![0.0; 4], ..Request::default() })?;
    end.answer(Request { fetch: true, sum: vec![0.0; 4], ..Request::default() })
}

/// What there is when two of five pushes of 1.0, which a reader has folded, were lost: server, run, reader, writer.
fn after_the_loss() -> (LocalRedis, Arc<dyn Store>, RunKeys, [FarEnd; 2]) {
    let mut redis = LocalRedis::start(Options::default()).unwrap();
    let store: Arc<dyn Store> = Arc::new(RedisStore::open(redis.url()).unwrap());
    let run = run(&store);
    let (mut reader, mut writer) = (far_end(&store, &run, 0), far_end(&store, &run, 1));
    (0..3).for_each(|_| push(&mut writer));
    assert_eq!(fetched(&mut reader).unwrap().sum, [3.0; 4]);
    let length = redis.log_length().unwrap();
    (0..2).for_each(|_| push(&mut writer));
    assert_eq!(fetched(&mut reader).unwrap().sum, [0.0; 4], "read with the first of two requests");
    redis.restart_with_log_of(length).unwrap();
    (redis, store, run, [reader, writer])
}

#[test]
fn whoever_knows_more_than_the_store_does_not_go_on() {
    let (_redis, store, run, [mut reader, mut writer]) = after_the_loss();
    let push = Some((EntryKind::Push, Progress::default()));
    let pushed = writer.answer(Request { push, payload: payload(1.0), ..Request::default() });
    assert!(pushed.is_err_and(|error| error.is_forgotten()));
    assert!(fetched(&mut reader).is_err_and(|error| error.is_forgotten()));
    assert_eq!(Folded::load(&*store, &run, ROWS).unwrap().parameters, [3.0; 4]);
}

#[test]
fn a_reader_that_finds_a_successors_pushes_instead_of_lost_ones_has_what_the_store_has() {
    let (_redis, store, run, [mut reader, mut writer]) = after_the_loss();
    // Its lease is taken from it, as it would be if it had died.
    let mut successor = successor(&store, &run, 1);
    push(&mut successor);
    // What was lost does not come back by a snapshot, either, even where the stream's end lies behind it.
    push(&mut reader);
    reader.write_snapshot(&[5.0; 4]).unwrap();
    assert_eq!(store.snapshot_vector(&run).unwrap().unwrap().0, 1);
    let found = reader.answer(Request { fetch: true, sum: vec![0.0; 4], ..Request::default() }).unwrap();
    assert_eq!(found.rebuilt, Some(vec![5.0; 4]));
    let late = Some((EntryKind::Push, Progress::default()));
    let late = writer.answer(Request { push: late, payload: payload(1.0), ..Request::default() }).unwrap();
    assert_eq!(late.push, Some(PushOutcome::Fenced));
    push(&mut successor);
    assert_eq!(fetched(&mut reader).unwrap().pushes, 0, "read with the first of two requests");
    assert_eq!(Folded::load(&*store, &run, ROWS).unwrap().parameters, [6.0; 4]);
}

/// A fetch of several round trips may meet the restart between two of them: then nobody has asked yet what was lost.
#[test]
fn whoever_rebuilds_from_a_store_that_lacks_its_own_push_does_not_go_on() {
    let (_redis, _, _, [_, mut writer]) = after_the_loss();
    let rebuilt = writer.rebuild(None, &mut Reply { sum: vec![0.0; 4], ..Reply::default() });
    assert!(rebuilt.is_err_and(|error| error.is_forgotten()));
}

#[test]
fn who_rebuilds_without_having_lost_anything_still_asks_what_was_lost() {
    let (_redis, _, _, [mut reader, _]) = after_the_loss();
    reader.rebuild(None, &mut Reply { sum: vec![0.0; 4], ..Reply::default() }).unwrap();
    let since = reader.since;
    let reply = reader.answer(Request::default()).unwrap();
    assert!(reply.reconnected && reader.since > since);
}

#[test]
fn a_successor_whose_claim_was_lost_leaves_the_stream_to_its_predecessor() {
    let mut redis = LocalRedis::start(Options::default()).unwrap();
    let store: Arc<dyn Store> = Arc::new(RedisStore::open(redis.url()).unwrap());
    let run = run(&store);
    let mut predecessor = far_end(&store, &run, 0);
    push(&mut predecessor);
    let length = redis.log_length().unwrap();
    let claimed = successor(&store, &run, 0);
    redis.restart_with_log_of(length).unwrap();
    // It reads the log only now.
    let (lease, base) = (claimed.lease.clone(), at_end(&store, &run));
    let mut successor = FarEnd::new(store.clone(), run.clone(), lease, ROWS.to_vec(), 2, &base, None);
    push(&mut predecessor);
    let push = Some((EntryKind::Push, Progress::default()));
    let pushed = successor.answer(Request { push, payload: payload(1.0), ..Request::default() });
    assert!(pushed.is_err_and(|error| error.is_forgotten()));
    assert_eq!(at_end(&store, &run).parameters, [2.0; 4]);
}

#[test]
fn the_number_of_workers_is_said_again_to_a_store_that_may_have_forgotten_it() {
    let mut redis = LocalRedis::start(Options::default()).unwrap();
    let store: Arc<dyn Store> = Arc::new(RedisStore::open(redis.url()).unwrap());
    let run = run(&store);
    let mut end = far_end(&store, &run, 0);
    push(&mut end);
    let mut restart = || {
        redis.kill().unwrap();
        redis.restart().unwrap();
    };
    restart();
    assert_eq!(store.control(&run).unwrap().workers, None);
    push(&mut end);
    assert_eq!(store.control(&run).unwrap().workers, Some(2));
    let mut of_another_number = FarEnd::new(
        store.clone(),
        run.clone(),
        end.lease.clone(),
        ROWS.to_vec(),
        3,
        &at_end(&store, &run),
        None,
    );
    push(&mut of_another_number);
    restart();
    let push = Some((EntryKind::Push, Progress::default()));
    let pushed = of_another_number.answer(Request { push, payload: payload(1.0), ..Request::default() });
    assert!(pushed.is_err_and(|error| error.is_forgotten()));
}

fn at_end(store: &Arc<dyn Store>, run: &RunKeys) -> Folded {
    Folded::load(&**store, run, ROWS).unwrap()
}
