//! Three workers share the jobs of one topic: each job is done by one of them.
//!
//! The workers stand in one process here. Start as many processes on as many machines as you like: the broker gives each message of a
//! shared subscription to one member of its group.
//!
//! ```sh
//! cargo run -p ohmqtt-broker --example broker -- mqtt://localhost:1883    # or any other broker of MQTT 5.0
//! cargo run --example shared_workers -- mqtt://localhost:1883
//! ```

use std::error::Error;
use std::time::Duration;

use ohmqtt_client::{Client, Qos, Subscription};
use tokio::sync::mpsc;

const WORKERS: usize = 3;
const JOBS: usize = 12;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("mqtt://localhost:1883".into());

    let (done, mut finished) = mpsc::channel(JOBS);
    let mut workers = Vec::new();
    for number in 1..=WORKERS {
        let client = Client::connect(&url).await?;
        let jobs = client.subscribe("$share/workers/jobs").await?;
        tokio::spawn(work(number, jobs, done.clone()));
        workers.push(client);
    }

    let office = Client::connect(&url).await?;
    for number in 1..=JOBS {
        let job = office.publish("jobs", format!("job {number}"));
        job.qos(Qos::AtLeastOnce).await?;
    }

    for _ in 0..JOBS {
        let (worker, job) = finished.recv().await.ok_or("the workers have gone")?;
        println!("worker {worker} has done {job}");
    }

    for client in workers.iter().chain([&office]) {
        client.close(Duration::from_secs(5)).await;
    }
    println!("all {JOBS} jobs are done");
    Ok(())
}

/// Does one job after the other until its client is closed.
async fn work(number: usize, mut jobs: Subscription, done: mpsc::Sender<(usize, String)>) {
    while let Some(job) = jobs.recv().await {
        // What takes its time.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let job = String::from_utf8_lossy(&job.payload).into_owned();
        if done.send((number, job)).await.is_err() {
            return;
        }
    }
}
