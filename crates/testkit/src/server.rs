//! HTTP/1.1 in front of a stand-in: a thread of its own with a small runtime, on one loopback port.
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
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::ports::listen;

/// Room for a request's header block: the Data Plane API takes a megabyte.
const ROOM: usize = 2_008_192;

/// What the thread is told.
enum Order {
    Close(oneshot::Sender<()>),
    Listen(oneshot::Sender<io::Result<()>>),
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// What answers the requests.
pub(crate) trait Answers: Send + Sync + 'static {
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = io::Result<Outcome>> + Send;
}

/// What goes back, and whether it is to end in the middle of its body.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) cut: bool,
}

/// A body; one that is cut is announced whole, and its connection is closed after a part.
enum Content {
    Whole(Option<Bytes>),
    Cut { bytes: Option<Bytes>, whole: u64, rounds: u8 },
}

impl Server {
    /// Starts a thread of this name.
    pub(crate) fn start<A: Answers>(
        name: &str,
        addr: SocketAddr,
        tls: Option<ServerConfig>,
        answers: Arc<A>,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            bind(addr)?
        };
        let (orders, inbox) = mpsc::unbounded_channel();
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || runtime.block_on(serve(addr, listener, tls, answers, inbox)))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Closes the port and every connection.
    pub(crate) fn refuse(&self) {
        let (done, closed) = oneshot::channel();
        if let Some(orders) = &self.orders
            && orders.send(Order::Close(done)).is_ok()
        {
            // An error means that the thread is gone, and the port with it.
            closed.blocking_recv().ok();
        }
    }

    /// Opens the port again.
    pub(crate) fn listen(&self) -> io::Result<()> {
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

async fn serve<A: Answers>(
    addr: SocketAddr,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    answers: Arc<A>,
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
                let (tls, answers) = (tls.clone(), Arc::clone(&answers));
                connections.spawn(async move {
                    match tls {
                        Some(tls) => if let Ok(stream) = tls.accept(stream).await {
                            connection(TokioIo::new(stream), answers).await;
                        },
                        None => connection(TokioIo::new(stream), answers).await,
                    }
                });
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    connections.shutdown().await;
}

async fn connection<IO, A: Answers>(io: IO, answers: Arc<A>)
where
    IO: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = Arc::clone(&answers).answer(request);
        async { answer.await.map(Response::from) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).max_buf_size(ROOM);
    // A connection that breaks is its client's business.
    http.serve_connection(io, service).await.ok();
}

/// A request with all of its body.
pub(crate) async fn whole(request: Request<Incoming>) -> io::Result<(Parts, Bytes)> {
    let (head, body) = request.into_parts();
    Ok((head, body.collect().await.map_err(io::Error::other)?.to_bytes()))
}

impl From<Outcome> for Response<Content> {
    fn from(outcome: Outcome) -> Self {
        let Outcome { status, headers, body, cut } = outcome;
        let whole = body.len() as u64;
        let sent = if cut { body.len() / 2 } else { body.len() };
        let bytes = Some(Bytes::from(body).slice(..sent)).filter(|bytes| !bytes.is_empty());
        let content = if cut { Content::Cut { bytes, whole, rounds: 8 } } else { Content::Whole(bytes) };
        let mut response = Self::new(content);
        if let Ok(status) = status.try_into() {
            *response.status_mut() = status;
        }
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value))
            {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
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
