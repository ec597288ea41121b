//! The calls under `/system`.

use reqwest::{Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Client, ClientError, LogLines, Reply, error, reply};
use crate::types::{
    DeleteFunctionRequest, FunctionDeployment, FunctionStatus, ScaleRequest, Secret, SystemInfo,
};

/// What a deployment did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployed {
    /// The function is new.
    Created,
    /// The function was there, and is replaced.
    Updated,
}

/// Which log messages to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Whether to go on with what is written from now on.
    pub follow: bool,
    /// Only the last so many of what was written; `None` means all.
    pub tail: Option<u32>,
    /// Only what was written since then, RFC 3339.
    pub since: Option<String>,
}

impl Client {
    /// Deploys a function: updates it, or creates it where the gateway doesn't know it.
    ///
    /// # Errors
    /// No answer, or a status other than 2xx.
    pub async fn deploy(&self, deployment: &FunctionDeployment) -> Result<Deployed, ClientError> {
        let url = self.url(&["system", "functions"]);
        let updated = self.send_json(Method::PUT, &url, deployment).await?;
        if updated.status != 404 {
            return succeeded(updated, "PUT", url).map(|_| Deployed::Updated);
        }
        let created = self.send_json(Method::POST, &url, deployment).await?;
        succeeded(created, "POST", url).map(|_| Deployed::Created)
    }

    /// Every function.
    ///
    /// # Errors
    /// No answer, a status other than 2xx, or a body that is no such list.
    pub async fn list(&self) -> Result<Vec<FunctionStatus>, ClientError> {
        // Go writes an empty list as null.
        Ok(self.get_json::<Option<_>>(self.url(&["system", "functions"])).await?.unwrap_or_default())
    }

    /// One function, or `None` where the gateway doesn't know it.
    ///
    /// # Errors
    /// No answer, a status other than 2xx and 404, or a body that is no function.
    pub async fn get(&self, function: &str) -> Result<Option<FunctionStatus>, ClientError> {
        match self.get_json(self.url(&["system", "function", function])).await {
            Err(error) if error.status() == Some(404) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Wants so many replicas of a function.
    ///
    /// # Errors
    /// No answer, or a status other than 2xx.
    pub async fn scale(&self, function: &str, replicas: u64) -> Result<(), ClientError> {
        let url = self.url(&["system", "scale-function", function]);
        let request = ScaleRequest { service_name: function.to_owned(), replicas, ..ScaleRequest::default() };
        succeeded(self.send_json(Method::POST, &url, &request).await?, "POST", url).map(drop)
    }

    /// Removes a function.
    ///
    /// # Errors
    /// No answer, or a status other than 2xx: 404 where the gateway doesn't know it.
    pub async fn remove(&self, function: &str) -> Result<(), ClientError> {
        let url = self.url(&["system", "functions"]);
        let request =
            DeleteFunctionRequest { function_name: function.to_owned(), ..DeleteFunctionRequest::default() };
        succeeded(self.send_json(Method::DELETE, &url, &request).await?, "DELETE", url).map(drop)
    }

    /// What the gateway is.
    ///
    /// # Errors
    /// No answer, a status other than 2xx, or a body that doesn't say.
    pub async fn info(&self) -> Result<SystemInfo, ClientError> {
        self.get_json(self.url(&["system", "info"])).await
    }

    /// Stores a secret: creates it, or replaces the value of one that is there.
    ///
    /// # Errors
    /// No answer, or a status other than 2xx.
    pub async fn put_secret(&self, secret: &Secret) -> Result<(), ClientError> {
        let url = self.url(&["system", "secrets"]);
        let created = self.send_json(Method::POST, &url, secret).await?;
        if created.status != 409 {
            return succeeded(created, "POST", url).map(drop);
        }
        succeeded(self.send_json(Method::PUT, &url, secret).await?, "PUT", url).map(drop)
    }

    /// The secrets' names.
    ///
    /// # Errors
    /// No answer, a status other than 2xx, or a body that is no such list.
    pub async fn secrets(&self) -> Result<Vec<String>, ClientError> {
        let url = self.url(&["system", "secrets"]);
        let secrets = self.get_json::<Option<Vec<Secret>>>(url).await?.unwrap_or_default();
        Ok(secrets.into_iter().map(|secret| secret.name).collect())
    }

    /// A function's log messages.
    ///
    /// # Errors
    /// No answer, or a status other than 2xx.
    pub async fn logs(&self, function: &str, query: &LogQuery) -> Result<LogLines, ClientError> {
        let mut url = self.url(&["system", "logs"]);
        let tail = query.tail.map_or_else(|| "-1".to_owned(), |tail| tail.to_string());
        url.query_pairs_mut()
            .append_pair("name", function)
            .append_pair("follow", if query.follow { "true" } else { "false" })
            .append_pair("tail", &tail)
            .extend_pairs(query.since.iter().map(|since| ("since", since)));
        let no_answer = |reason| ClientError::NoAnswer { method: "GET", url: url.to_string(), reason };
        let response = tokio::time::timeout(self.timeout, self.system(Method::GET, url.clone()).send())
            .await
            .map_err(|_| no_answer("no answer in time".to_owned()))?
            .map_err(|error| no_answer(error::reasons(error)))?;
        if response.status().is_success() {
            return Ok(LogLines::new(response, url));
        }
        let reply = tokio::time::timeout(self.timeout, reply::collect(response, "GET", &url))
            .await
            .map_err(|_| no_answer("no answer in time".to_owned()))??;
        Err(reply.into_error("GET", url))
    }

    async fn get_json<T: DeserializeOwned>(&self, url: Url) -> Result<T, ClientError> {
        let request = self.system(Method::GET, url.clone()).timeout(self.timeout);
        let reply = reply::receive(request, "GET", url.clone()).await?;
        succeeded(reply, "GET", url.clone())?.json("GET", &url)
    }

    async fn send_json(
        &self,
        method: Method,
        url: &Url,
        body: &impl Serialize,
    ) -> Result<Reply, ClientError> {
        let name = match method {
            Method::PUT => "PUT",
            Method::DELETE => "DELETE",
            _ => "POST",
        };
        let request = self.system(method, url.clone()).json(body).timeout(self.timeout);
        reply::receive(request, name, url.clone()).await
    }
}

fn succeeded(reply: Reply, method: &'static str, url: Url) -> Result<Reply, ClientError> {
    if reply.is_success() { Ok(reply) } else { Err(reply.into_error(method, url)) }
}
