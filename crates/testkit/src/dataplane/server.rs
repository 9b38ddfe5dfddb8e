//! HTTP/1.1 in front of the endpoints: a thread of its own with a small runtime, on one loopback port.
//!
//! Invariants: the port stays the same while connections are refused; dropping the value ends every connection.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::{io, thread};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::exchange::Reply;
use super::routes::Router;
use crate::ports::listen;

/// Room for the header block: the real one takes 1,000,000 bytes and a little, and answers 431 to more.
const HEADERS: usize = 1_004_096;

/// What the thread is told.
enum Order {
    Close(oneshot::Sender<()>),
    Listen(oneshot::Sender<io::Result<()>>),
}

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(addr: SocketAddr, tls: Option<ServerConfig>, router: Router) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            bind(addr)?
        };
        let (orders, inbox) = mpsc::unbounded_channel();
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let thread = thread::Builder::new()
            .name("dataplane".to_owned())
            .spawn(move || runtime.block_on(serve(addr, listener, tls, Arc::new(router), inbox)))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Closes the port and every connection.
    pub(super) fn refuse(&self) {
        let (done, closed) = oneshot::channel();
        if let Some(orders) = &self.orders
            && orders.send(Order::Close(done)).is_ok()
        {
            // An error means that the thread is gone, and the port with it.
            closed.blocking_recv().ok();
        }
    }

    /// Opens the port again.
    pub(super) fn listen(&self) -> io::Result<()> {
        let gone = || io::Error::other("the stand-in's thread has ended");
        let (done, opened) = oneshot::channel();
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.send(Order::Listen(done)).map_err(|_| gone())?;
        opened.blocking_recv().map_err(|_| gone())??;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// In the runtime whose thread it is called on.
fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = listen(addr)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn serve(
    addr: SocketAddr,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Arc<Router>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Close(done)) => {
                    listener = None;
                    connections.shutdown().await;
                    done.send(()).ok();
                }
                Some(Order::Listen(done)) => {
                    let outcome = match &listener {
                        Some(_) => Ok(()),
                        None => bind(addr).map(|fresh| listener = Some(fresh)),
                    };
                    done.send(outcome).ok();
                }
                None => break,
            },
            accepted = accept => if let Ok((stream, _)) = accepted {
                stream.set_nodelay(true).ok();
                let (tls, router) = (tls.clone(), Arc::clone(&router));
                connections.spawn(async move {
                    match tls {
                        Some(tls) => if let Ok(stream) = tls.accept(stream).await {
                            connection(TokioIo::new(stream), router).await;
                        },
                        None => connection(TokioIo::new(stream), router).await,
                    }
                });
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    connections.shutdown().await;
}

async fn connection<IO>(io: IO, router: Arc<Router>)
where
    IO: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(move |request| handle(request, Arc::clone(&router)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).max_buf_size(2 * HEADERS);
    // A connection that breaks is its client's business.
    http.serve_connection(io, service).await.ok();
}

async fn handle(request: Request<Incoming>, router: Arc<Router>) -> Result<Response<Content>, io::Error> {
    let size: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > HEADERS {
        let mut reply = Reply::text(431, "431 Request Header Fields Too Large");
        reply.headers = vec![("Content-Type", "text/plain; charset=utf-8".to_owned())];
        let reply = reply.with("Connection", "close");
        return Ok(response(Outcome { reply, cut: false }));
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let outcome = tokio::task::spawn_blocking(move || router.answer(&head, body));
    Ok(response(outcome.await.map_err(io::Error::other)?))
}

/// A reply, and whether it is to end in the middle of its body.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) reply: Reply,
    pub(super) cut: bool,
}

fn response(outcome: Outcome) -> Response<Content> {
    let Outcome { reply, cut } = outcome;
    let whole = reply.body.len() as u64;
    let sent = if cut { reply.body.len() / 2 } else { reply.body.len() };
    let bytes = Some(Bytes::from(reply.body).slice(..sent)).filter(|bytes| !bytes.is_empty());
    let content = if cut { Content::Cut { bytes, whole, rounds: 8 } } else { Content::Whole(bytes) };
    let mut response = Response::new(content);
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

/// A body; one that is cut is announced whole, and its connection is closed after a part.
enum Content {
    Whole(Option<Bytes>),
    Cut { bytes: Option<Bytes>, whole: u64, rounds: u8 },
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Cut { bytes, rounds, .. } => match bytes.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                // A few rounds later, so that the first part is on its way before the connection breaks.
                None if *rounds > 0 => {
                    *rounds -= 1;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                None => Poll::Ready(Some(Err(io::Error::other("cut on purpose")))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Self::Cut { whole, .. } => *whole,
        })
    }
}
