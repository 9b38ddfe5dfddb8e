//! The stream of events: every change, hold, loss and restart, as server-sent events with JSON.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio_util::sync::CancellationToken;

use super::live::Window;
use crate::events::Fact;

/// How often something is sent though nothing happens, so that dead connections are noticed.
const ALIVE: Duration = Duration::from_secs(15);

struct Listener {
    heard: Receiver<Arc<Fact>>,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn events(State(window): State<Window>) -> Response {
    let Ok(place) = Arc::clone(&window.streams).try_acquire_owned() else {
        let text = "too many listen already; end one of them\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let listener = Listener { heard: window.reporter.listen(), stop: window.stop.clone(), _place: place };
    Sse::new(told(listener)).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}

/// What happens, until the end. Whoever falls too far behind is let go: events would be missing, and he could not know.
fn told(listener: Listener) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(listener, |mut listener| async move {
        let fact = listener.stop.run_until_cancelled(listener.heard.recv()).await?.ok()?;
        let event = Event::default().event(fact.event).json_data(&*fact).ok()?;
        Some((Ok(event), listener))
    })
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use tokio::sync::{Semaphore, broadcast};

    use super::*;
    use crate::events::{About, Level};

    fn fact() -> Arc<Fact> {
        let (event, message, about) = ("changed", String::new(), About::default());
        Arc::new(Fact { at: jiff::Timestamp::UNIX_EPOCH, level: Level::Info, event, message, about })
    }

    fn listener(heard: Receiver<Arc<Fact>>) -> (Listener, Arc<Semaphore>, CancellationToken) {
        let (places, stop) = (Arc::new(Semaphore::new(1)), CancellationToken::new());
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        (Listener { heard, stop: stop.clone(), _place: place }, places, stop)
    }

    #[tokio::test]
    async fn who_falls_behind_is_let_go_and_makes_room() {
        let (tell, heard) = broadcast::channel(2);
        let (listener, places, _stop) = listener(heard);
        let mut told = Box::pin(told(listener));
        tell.send(fact()).unwrap();
        assert!(told.next().await.is_some());
        for _ in 0..3 {
            tell.send(fact()).unwrap();
        }
        assert!(told.next().await.is_none());
        drop(told);
        assert_eq!(places.available_permits(), 1);
    }

    #[tokio::test]
    async fn the_stream_ends_with_roster() {
        let (_tell, heard) = broadcast::channel(2);
        let (listener, _places, stop) = listener(heard);
        stop.cancel();
        assert!(Box::pin(told(listener)).next().await.is_none());
    }
}
