//! HTTP/1.1 in front of the routes: a thread of its own with a small runtime, on one loopback port.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Shared;
use super::routes::{Asked, Reply};
use crate::ports::listen;

/// A running server. Dropping it closes its port and every connection.
#[derive(Debug)]
pub(super) struct Server {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A body; one that is cut is announced whole, and its connection is closed after a part.
struct Content {
    bytes: Option<Bytes>,
    announced: u64,
    cut: bool,
    /// Some rounds pass before the connection breaks, so that the first part is on its way.
    rounds: u8,
}

impl Server {
    pub(super) fn start(addr: SocketAddr, shared: Arc<Shared>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            let listener = listen(addr)?;
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)?
        };
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("arm".to_owned())
            .spawn(move || runtime.block_on(serve(listener, shared, ended)))?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, mut ended: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut ended => break,
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                stream.set_nodelay(true).ok();
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(move |request| handle(request, Arc::clone(&shared)));
                    let mut http = http1::Builder::new();
                    // A connection that breaks is its client's business.
                    http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await.ok();
                });
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    connections.shutdown().await;
}

async fn handle(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Content>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let query = head.uri.query().unwrap_or_default();
    let asked = Asked::new(head.method.as_str(), head.uri.path(), query, head.headers, body);
    let reply = shared.lock().answer(&shared.url, &asked);
    if !reply.later.is_zero() {
        tokio::time::sleep(reply.later).await;
    }
    Ok(response(reply))
}

fn response(reply: Reply) -> Response<Content> {
    let announced = reply.body.len() as u64;
    let sent = if reply.cut { reply.body.len() / 2 } else { reply.body.len() };
    let bytes = Some(Bytes::from(reply.body).slice(..sent)).filter(|bytes| !bytes.is_empty());
    let mut response = Response::new(Content { bytes, announced, cut: reply.cut, rounds: 8 });
    if let Ok(status) = reply.status.try_into() {
        *response.status_mut() = status;
    }
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value))
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if !self.cut => Poll::Ready(None),
            None if self.rounds > 0 => {
                self.rounds -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(Some(Err(io::Error::other("cut on purpose")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && !self.cut
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(if self.cut {
            self.announced
        } else {
            self.bytes.as_ref().map_or(0, |b| b.len() as u64)
        })
    }
}
