// Starts Swagger UI on /schema/docs; a file of its own, because the page runs no inline script.
const place = document.getElementById("docs");
window.SwaggerUIBundle({ url: place.dataset.schema, domNode: place, deepLinking: true });
