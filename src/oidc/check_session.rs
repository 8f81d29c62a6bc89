//! The frame that an application asks whether the sign-in is still the same (OpenID Connect Session Management section 3.3).

use crate::ctx::Ctx;
use crate::error::Result;
use crate::http::cookie;
use crate::seal::sha256;
use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Compares what an application holds with what this browser's cookie says now. The message is
/// `client_id space session_state`; the answer goes to whoever asked, and to nobody else.
const SCRIPT: &str = "\
addEventListener('message',async function(e){\
var p=typeof e.data==='string'?e.data.split(' '):[],s=p.length===2?p[1].split('.'):[];\
if(s.length!==2||!crypto.subtle){e.source.postMessage('error',e.origin);return}\
var n=document.documentElement.dataset.cookie+'=',c=document.cookie.split('; ').find(function(x){return x.indexOf(n)===0}),\
t=new TextEncoder().encode(p[0]+' '+e.origin+' '+(c?c.slice(n.length):'')+' '+s[1]),\
h=new Uint8Array(await crypto.subtle.digest('SHA-256',t)),\
b=btoa(String.fromCharCode.apply(null,h)).replace(/[+]/g,'-').replace(/[/]/g,'_').replace(/=+$/,'');\
e.source.postMessage(b===s[0]?'unchanged':'changed',e.origin)})";

/// `GET /oauth2/check_session`
///
/// # Errors
/// None.
pub async fn frame(ctx: Ctx) -> Result<HttpResponse> {
    let name = cookie::state_name(&ctx);
    let html = format!(
        "<!doctype html><html data-cookie=\"{name}\"><head><meta charset=\"utf-8\"><title></title></head><body><script>{SCRIPT}</script></body></html>"
    );
    // Any page may hold this one: it shows nothing and tells only whoever knows a session state already.
    let csp = format!(
        "default-src 'none'; script-src 'sha256-{}'; base-uri 'none'; frame-ancestors *",
        STANDARD.encode(sha256(SCRIPT.as_bytes()).0)
    );
    let mut response = HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .insert_header((header::CONTENT_SECURITY_POLICY, csp))
        .body(html);
    response
        .headers_mut()
        .insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
    Ok(response)
}
