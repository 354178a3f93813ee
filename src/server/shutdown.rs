//! The word to stop: said once, heard by everyone that holds a copy.

use tokio::sync::watch;

/// Tells that the server is to stop. Copies hear the same word.
#[derive(Debug, Clone)]
pub struct Shutdown {
    said: watch::Receiver<bool>,
}

impl Shutdown {
    /// A shutdown and what says it. Dropping the sayer says it too.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (say, said) = watch::channel(false);
        (say, Self { said })
    }

    /// Returns once it was said.
    pub async fn wait(mut self) {
        // An error means that the sayer is gone, which says it too.
        let _ = self.said.wait_for(|said| *said).await;
    }
}

/// A shutdown that SIGTERM or Ctrl-C says.
pub fn on_signal() -> std::io::Result<Shutdown> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (say, shutdown) = Shutdown::new();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new calls, those under way are finished");
        // Nobody left to hear it is no error.
        let _ = say.send(true);
    });
    Ok(shutdown)
}
