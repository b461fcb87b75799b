//! The work of `benchmarks.engine` with NautilusTrader's indicators and no Python.
//!
//! `bench-crate INSTRUMENTS SECONDS` reads ticks from its input, four i64 each (instrument, second, price,
//! volume; little endian), and prints ticks per CPU-second and per second as JSON. The work is that
//! of `nautilus` in `_indicators.py`: only the indicators are timed, forming bars are made before.

use std::{
    env,
    hint::black_box,
    io::{self, Read},
    mem::MaybeUninit,
    time::Instant,
};

use nautilus_indicators::{
    average::{MovingAverageType, ema::ExponentialMovingAverage, vwap::VolumeWeightedAveragePrice},
    indicator::MovingAverage,
    momentum::{
        bb::BollingerBands,
        dm::DirectionalMovement,
        macd::MovingAverageConvergenceDivergence,
        obv::OnBalanceVolume,
        rsi::RelativeStrengthIndex,
        stochastics::{Stochastics, StochasticsDMethod},
    },
    volatility::atr::AverageTrueRange,
};

const SPANS: [i64; 3] = [60, 300, 900];
const BATCH: usize = 1_024;
const WARM: i64 = 40; // bars each indicator has seen before it is timed

#[derive(Clone, Copy)]
struct Bar {
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
    bucket: i64,
}

const NO_BAR: Bar = Bar {
    high: 0.0,
    low: 0.0,
    close: 0.0,
    volume: 0.0,
    bucket: -1,
};

struct Tick {
    instrument: usize,
    second: i64,
    price: f64,
    volume: f64,
}

struct Indicators {
    averages: [ExponentialMovingAverage; 4],
    rsi: RelativeStrengthIndex,
    macd: MovingAverageConvergenceDivergence,
    bollinger: BollingerBands,
    atr: AverageTrueRange,
    stochastics: Stochastics,
    movement: DirectionalMovement,
    balance: OnBalanceVolume,
    vwap: VolumeWeightedAveragePrice,
}

impl Indicators {
    fn warmed() -> Self {
        let mut fresh = Self {
            averages: [9, 21, 50, 200].map(|period| ExponentialMovingAverage::new(period, None)),
            rsi: RelativeStrengthIndex::new(14, None),
            macd: MovingAverageConvergenceDivergence::new(12, 26, Some(9), None, None),
            bollinger: BollingerBands::new(20, 2.0, None),
            atr: AverageTrueRange::new(14, None, None, None),
            stochastics: Stochastics::new_with_params(
                14,
                3,
                3,
                MovingAverageType::Exponential,
                StochasticsDMethod::Ratio,
            ),
            movement: DirectionalMovement::new(14),
            balance: OnBalanceVolume::new(),
            vwap: VolumeWeightedAveragePrice::new(),
        };
        for nth in 0..WARM {
            let price = 100_000.0 + 15.0 * (nth % 7) as f64;
            fresh.update(&Bar {
                high: price + 30.0,
                low: price - 20.0,
                close: price + 5.0,
                volume: 1_000.0,
                bucket: nth - WARM - 1,
            });
        }
        fresh
    }

    fn update(&mut self, bar: &Bar) {
        for average in &mut self.averages {
            average.update_raw(bar.close);
        }
        self.rsi.update_raw(bar.close);
        self.macd.update_raw(bar.close);
        self.bollinger.update_raw(bar.close);
        self.atr.update_raw(bar.high, bar.low, bar.close);
        self.stochastics.update_raw(bar.high, bar.low, bar.close);
        self.movement.update_raw(bar.high, bar.low);
        self.balance.update_raw(bar.close, bar.volume);
        self.vwap.update_raw(bar.close, bar.volume);
        black_box(&*self); // every value counts as read
    }
}

fn ticks() -> Vec<Tick> {
    let mut bytes = Vec::new();
    io::stdin()
        .read_to_end(&mut bytes)
        .expect("ticks on the input");
    bytes
        .chunks_exact(32)
        .map(|row| {
            let [instrument, second, price, volume] = [0, 8, 16, 24]
                .map(|at| i64::from_le_bytes(row[at..at + 8].try_into().expect("eight bytes")));
            Tick {
                instrument: instrument as usize,
                second,
                price: price as f64,
                volume: volume as f64,
            }
        })
        .collect()
}

/// CPU time of this process, seconds.
fn cpu() -> f64 {
    let mut now = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the call fills the whole of `now`, and this clock always exists.
    let now = unsafe {
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, now.as_mut_ptr());
        now.assume_init()
    };
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

fn main() {
    let given: Vec<String> = env::args().skip(1).collect();
    let instruments: usize = given[0].parse().expect("INSTRUMENTS");
    let seconds: f64 = given[1].parse().expect("SECONDS");
    let ticks = ticks();
    let mut indicators: Vec<[Indicators; 3]> = (0..instruments)
        .map(|_| SPANS.map(|_| Indicators::warmed()))
        .collect();
    let mut bars = vec![[NO_BAR; 3]; instruments];
    let (mut used, mut passed, mut done) = (0.0, 0.0, 0);
    for batch in ticks.chunks(BATCH) {
        let mut work = Vec::with_capacity(BATCH * SPANS.len());
        for tick in batch {
            for (place, span) in SPANS.iter().enumerate() {
                let (bar, bucket) = (&mut bars[tick.instrument][place], tick.second / span);
                if bar.bucket != bucket {
                    *bar = Bar {
                        high: tick.price,
                        low: tick.price,
                        volume: 0.0,
                        bucket,
                        ..NO_BAR
                    };
                }
                bar.high = bar.high.max(tick.price);
                bar.low = bar.low.min(tick.price);
                bar.close = tick.price;
                bar.volume += tick.volume;
                work.push((tick.instrument, place, *bar));
            }
        }
        let (cpu_before, before) = (cpu(), Instant::now());
        for (instrument, place, bar) in &work {
            indicators[*instrument][*place].update(bar);
        }
        used += cpu() - cpu_before;
        passed += before.elapsed().as_secs_f64();
        done += batch.len();
        if used > seconds {
            break;
        }
    }
    println!(
        "{{\"cpu\": {}, \"wall\": {}}}",
        done as f64 / used,
        done as f64 / passed
    );
}
