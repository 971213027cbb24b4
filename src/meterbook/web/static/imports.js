// A file may be dropped anywhere on the form, and how much of it is sent is shown.
function listenTo(form) {
  const input = form.querySelector("input[type=file]");
  const bar = form.querySelector("progress");
  form.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("is-over");
  });
  form.addEventListener("dragleave", () => form.classList.remove("is-over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("is-over");
    if (event.dataTransfer.files.length === 1) input.files = event.dataTransfer.files;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const content = new FormData(form, event.submitter);
    const request = new XMLHttpRequest();
    bar.hidden = false;
    request.upload.addEventListener("progress", (sent) => {
      if (sent.lengthComputable) bar.value = sent.loaded / sent.total;
    });
    request.responseType = "document";
    request.addEventListener("load", () => {
      const main = request.response?.querySelector("main");
      if (!main) return form.submit(); // an answer of a proxy: the browser shows it
      document.querySelector("main").replaceWith(main);
      document.title = request.response.title;
      main.querySelectorAll("form[data-drop]").forEach(listenTo);
    });
    request.addEventListener("error", () => form.submit());
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "text/html");
    request.send(content);
  });
}

document.querySelectorAll("form[data-drop]").forEach(listenTo);
