//! A push and fetch against SET and GET of the same bytes by the Redis client alone, pipelined as well, over the
//! same kind of connection.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use local_redis::Transport;
use redis::{Connection, Pipeline};
use serde_json::{Value, json};
use sgd_lib::codec::{Codec, Encoder};
use sgd_lib::downpour::{DataRef, Run, RunConfig};
use sgd_lib::network::Architecture;
use sgd_lib::store::{
    Claim, Cursors, Entry, EntryId, EntryKind, Exchange, Lease, Passed, Progress, PushOutcome,
};

use crate::context::Context;
use crate::redis::Server;
use crate::report::Report;
use crate::sampling::{Contestant, Samples, take_turns};

/// How a Redis is reached, and whether it writes an append-only file.
const PLACES: [(&str, Transport, bool); 4] = [
    ("unix", Transport::UnixSocket, true),
    ("unix", Transport::UnixSocket, false),
    ("tcp", Transport::Tcp, true),
    ("tcp", Transport::Tcp, false),
];
/// Widths of the hidden layer: the default network, and one with ten times its parameters.
const WIDTHS: [usize; 2] = [100, 1000];
/// What the figures are about, of the default network: what `auto` makes of it here, and over a network.
const FIGURES: [(Codec, &str); 2] =
    [(Codec::Int8, "store.vs_set_get"), (Codec::TopK, "store.vs_set_get_topk")];
/// Bytes that one round moves, about: both sides move the same.
const BYTES: usize = 8 << 20;
const LEASE: Duration = Duration::from_secs(60);

/// Two workers of a run that push in turns, each fetching what the other has pushed.
struct Pair<'a> {
    server: &'a Server,
    payload: Vec<u8>,
    config: RunConfig,
}

/// The plain client, on a connection of its own.
struct Plain<'a> {
    connection: Connection,
    payload: &'a [u8],
}

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let rounds = context.effort(9, 1);
    let widths = if rounds > 1 { &WIDTHS[..] } else { &WIDTHS[..1] };
    let (mut rows, mut lines, mut figures) = (Vec::new(), Vec::new(), Vec::new());
    for (name, transport, append_only) in PLACES {
        let unix = transport == Transport::UnixSocket;
        let server = Server::start(transport, append_only)?;
        let mut points = [Vec::new(), Vec::new()];
        for (codec, width) in widths.iter().flat_map(|width| Codec::ALL.map(|codec| (codec, *width))) {
            let pair = Pair::new(&server, codec, width)?;
            let [ours, plain] = pair.measure(rounds, context.effort(BYTES, BYTES / 16))?;
            let ratio = ours.median() / plain.median();
            if width == WIDTHS[0] && unix && append_only {
                let figure = FIGURES.iter().find(|(of, _)| *of == codec);
                figures.extend(figure.map(|(_, name)| (*name, ratio)));
            }
            rows.push(pair.row(name, append_only, [&ours, &plain], ratio));
            let x = pair.payload.len() as f64;
            for (points, samples) in points.iter_mut().zip([ours, plain]) {
                points.push(Point { x, y: samples.median(), deviation: samples.spread() });
            }
        }
        lines.push((format!("{name}{}", if append_only { ", AOF" } else { "" }), points));
    }
    Ok(Report {
        columns: vec![
            "transport",
            "aof",
            "codec",
            "parameters",
            "bytes",
            "push+fetch (µs)",
            "± ",
            "SET+GET (µs)",
            "±",
            "ratio",
        ],
        rows,
        figures,
        notes: vec![
            format!(
                "Medians of {rounds} rounds in turns; a round trip moves the bytes once to Redis and once back."
            ),
            "The figures: the default network, Unix socket, AOF everysec; int8, the default there, and topk."
                .to_owned(),
            "Beside the bytes a push and fetch reads the control record, the snapshot's version and the streams."
                .to_owned(),
        ],
        chart: chart(&lines),
    })
}

fn chart(lines: &[(String, [Vec<Point>; 2])]) -> Chart {
    let of = |which: usize| {
        let line = |(name, points): &(String, [Vec<Point>; 2])| {
            let mut points = points[which].clone();
            points.sort_by(|left, right| left.x.total_cmp(&right.x));
            Line { name: name.clone(), points }
        };
        lines.iter().map(line).collect()
    };
    Chart {
        title: "A push and fetch against SET and GET".to_owned(),
        subtitle: "One round trip that moves the payload there and back".to_owned(),
        x: Axis::new("Payload (bytes)", Scale::Logarithmic),
        y: Axis::new("Time (µs)", Scale::Logarithmic),
        measured: Lines { heading: "push + fetch".to_owned(), lines: of(0), ..Lines::default() },
        compared: Lines { heading: "SET + GET".to_owned(), lines: of(1), ..Lines::default() },
    }
}

fn network(width: usize) -> Result<Architecture> {
    Ok(Architecture::new(784, &[width], 47)?)
}

/// A delta with every row in it, as after a few minibatches.
fn payload(architecture: &Architecture, codec: Codec) -> Result<Vec<u8>> {
    let delta: Vec<f32> = (0..architecture.parameter_count() as u32)
        .map(|index| {
            let bits = index.wrapping_add(1).wrapping_mul(0x9e37_79b9);
            // The cube: most values are small.
            ((bits >> 8) as f32 / 8_388_608.0 - 1.0).powi(3) * 0.01
        })
        .collect();
    let (mut decoded, mut payload) = (vec![0.0; delta.len()], Vec::new());
    Encoder::new(codec, &architecture.rows()).encode(&delta, &mut decoded, &mut payload)?;
    Ok(payload)
}

impl<'a> Pair<'a> {
    fn new(server: &'a Server, codec: Codec, width: usize) -> Result<Self> {
        let architecture = network(width)?;
        let payload = payload(&architecture, codec)?;
        let config = RunConfig { codec, ..RunConfig::new(DataRef::named("none"), architecture) };
        Ok(Self { server, payload, config })
    }

    /// Microseconds a round trip: ours, and the plain client's.
    fn measure(&self, rounds: usize, bytes: usize) -> Result<[Samples; 2]> {
        let trips = (bytes / self.payload.len()).clamp(8, 400);
        let mut plain = Plain::new(self.server, &self.payload)?;
        let mut contestants: [Contestant<'_>; 2] =
            [Box::new(|| self.exchange(trips)), Box::new(|| plain.set_and_get(trips))];
        let samples = take_turns(rounds, &mut contestants)?;
        samples.try_into().map_err(|_| anyhow::anyhow!("two contestants"))
    }

    fn exchange(&self, trips: usize) -> Result<f64> {
        let run = Run::create(self.server.store.clone(), "bench", self.config.clone())?;
        run.store().fix_workers(run.keys(), 2)?;
        let mut workers = [Side::claim(&run, 0)?, Side::claim(&run, 1)?];
        let mut payload = self.payload.clone();
        // Nobody has pushed yet.
        payload = workers[0].exchange(&run, payload, 0)?.1;
        let mut times = Vec::with_capacity(trips);
        for trip in 0..trips {
            let took;
            (took, payload) = workers[(trip + 1) % 2].exchange(&run, payload, 1)?;
            times.push(took);
        }
        run.delete()?;
        Ok(micros(&times))
    }

    fn row(&self, transport: &str, append_only: bool, samples: [&Samples; 2], ratio: f64) -> Vec<Value> {
        let mut row = vec![json!(transport), json!(if append_only { "everysec" } else { "no" })];
        row.push(json!(self.config.codec.to_string()));
        row.push(json!(self.config.architecture.parameter_count()));
        row.push(json!(self.payload.len()));
        row.extend(samples.iter().flat_map(|samples| [json!(samples.median()), json!(samples.spread())]));
        row.push(json!(ratio));
        row
    }
}

/// The median: a trip during which this program was interrupted says nothing of the store.
fn micros(times: &[Duration]) -> f64 {
    Samples::new(times.iter().map(|time| time.as_secs_f64() * 1e6).collect()).median()
}

/// One worker's view of the log.
struct Side {
    lease: Lease,
    last: EntryId,
    cursors: Cursors,
}

impl Side {
    fn claim(run: &Run, worker: u32) -> Result<Self> {
        let claim = run.claim(&worker.to_string(), Some(worker), LEASE)?;
        let Claim::Granted { lease, .. } = claim else { bail!("no lease for worker {worker}: {claim:?}") };
        let last = EntryId { token: lease.token, seq: 0 };
        Ok(Self { lease, last, cursors: Cursors::from([(1 - worker, EntryId::ZERO)]) })
    }

    /// Pushes, and fetches the pushes of the other, of which there have to be so many. The time that it took,
    /// and the payload back.
    fn exchange(&mut self, run: &Run, payload: Vec<u8>, wanted: usize) -> Result<(Duration, Vec<u8>)> {
        let entry = Entry {
            id: EntryId { seq: self.last.seq + 1, ..self.last },
            prev: self.last,
            kind: EntryKind::Push,
            progress: Some(Progress::default()),
            seen: Vec::new(),
            payload,
            passed: Passed::default(),
        };
        let exchange = Exchange {
            push: Some(&entry),
            lease: Some(&self.lease),
            // As nearly always: claimed for a minute.
            lease_is_fresh: true,
            cursors: Some(&self.cursors),
            entries_per_stream: 8,
            ..Exchange::default()
        };
        let begun = Instant::now();
        let exchanged = run.store().exchange(run.keys(), &exchange)?;
        let took = begun.elapsed();
        let fetched: Vec<_> = exchanged.entries.into_iter().flat_map(|(_, entries)| entries).collect();
        let pushes = fetched.iter().filter(|entry| entry.payload == ours(&exchange)).count();
        if exchanged.push != Some(PushOutcome::Accepted) || pushes != wanted {
            bail!("the push was {:?}, and {pushes} of {wanted} were fetched", exchanged.push);
        }
        if let (Some(last), Some(cursor)) = (fetched.last(), self.cursors.values_mut().next()) {
            *cursor = last.id;
        }
        self.last = entry.id;
        Ok((took, entry.payload))
    }
}

fn ours<'a>(exchange: &Exchange<'a>) -> &'a [u8] {
    exchange.push.map_or(&[], |entry| &entry.payload)
}

impl<'a> Plain<'a> {
    fn new(server: &Server, payload: &'a [u8]) -> Result<Self> {
        let client = redis::Client::open(server.url()).context("opening a plain client")?;
        Ok(Self { connection: client.get_connection().context("connecting a plain client")?, payload })
    }

    fn set_and_get(&mut self, trips: usize) -> Result<f64> {
        let mut times = Vec::with_capacity(trips);
        for trip in 0..trips {
            let names = ["bench:plain:0", "bench:plain:1"];
            let begun = Instant::now();
            let mut pipeline: Pipeline = redis::pipe();
            pipeline.cmd("SET").arg(names[trip % 2]).arg(self.payload).ignore();
            pipeline.cmd("GET").arg(names[(trip + 1) % 2]);
            let (got,): (redis::Value,) = pipeline.query(&mut self.connection)?;
            times.push(begun.elapsed());
            let whole = matches!(&got, redis::Value::BulkString(bytes) if bytes == self.payload);
            if trip > 0 && !whole {
                bail!("GET did not bring what SET had sent");
            }
        }
        Ok(micros(&times))
    }
}
